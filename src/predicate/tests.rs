//! The language: what holds, what does not, where mistakes are.

use std::fmt::{self, Write as _};

use proptest::prelude::*;

use super::*;

const CLOSINGS: [&str; 4] = ["fin", "half_closed", "reset_by_client", "reset_by_server"];
const STATES: [&str; 4] = ["CLOSED", "ESTABLISHED", "FIN_WAIT_1", "TIME_WAIT"];

fn fields() -> Fields {
    let field = |name, kind| Field { name, kind };
    Fields::new(
        vec![
            field("fins", Kind::Number),
            field("handshake_ns", Kind::Span),
            field("connect_ns", Kind::Span),
            field("first_ts", Kind::Time),
            field("role_known", Kind::Flag),
            field("closing", Kind::Words(CLOSINGS.to_vec())),
            field("client_state", Kind::Words(STATES.to_vec())),
            field("server_state", Kind::Words(STATES.to_vec())),
            field("client_ip", Kind::Address),
            field("client_port", Kind::Number),
            field("server_ip", Kind::Address),
            field("server_port", Kind::Number),
            field("payload_bytes", Kind::Amount),
            field("app_name", Kind::Text),
            field("ratio", Kind::Number),
        ],
        &[("client", "client_ip", "client_port"), ("server", "server_ip", "server_port")],
    )
}

fn value(place: usize) -> Value<'static> {
    let text = |text: &'static str| Value::Text(text.into());
    match place {
        0 => Value::Integer(2),
        1 => Value::Integer(50_000_001),
        3 => Value::Time(crate::time::instant::parse("2026-01-02T03:04:05Z").unwrap()),
        4 => Value::Flag(true),
        5 => text("half_closed"),
        6 => text("TIME_WAIT"),
        7 => text("CLOSED"),
        8 => Value::Ip([10, 0, 0, 7].into()),
        9 => Value::Integer(40_000),
        10 => Value::Ip("2001:db8::1".parse().unwrap()),
        11 => Value::Integer(8_443),
        12 => Value::Integer(10_000),
        13 => text("www.Example.com"),
        14 => Value::Real(0.5),
        _ => Value::Null,
    }
}

#[track_caller]
fn holds(text: &str) -> bool {
    Predicate::parse(text, &fields()).unwrap_or_else(|said| panic!("{text}: {said}")).holds(value)
}

#[track_caller]
fn mistake(text: &str) -> Mistake {
    Predicate::parse(text, &fields()).map(|_| panic!("{text} is read")).unwrap_err()
}

#[track_caller]
fn all_hold(yes: &[&str], no: &[&str]) {
    for text in yes {
        assert!(holds(text), "{text}");
    }
    for text in no {
        assert!(!holds(text), "{text}");
    }
}

#[test]
fn numbers_compare() {
    all_hold(
        &[
            "fins = 2",
            "fins==2",
            "fins>1",
            "fins <= 2.5",
            "fins != 3",
            "fins<3",
            "fins >= 2e0",
            "ratio = 0.5",
            "ratio<1",
        ],
        &["fins = 3", "fins < 2", "fins != 2", "ratio > 1", "ratio == 1"],
    );
    all_hold(
        &["server_port in 8000..8999", "server_port in (80, 443, 8000..8999)", "server_port in {8443}", "fins in 2"],
        &[
            "server_port not in 8000..8999",
            "server_port in (80,443)",
            "server_port in 8444..9000",
            "server_port !in 8443",
        ],
    );
}

#[test]
fn spans_and_amounts_take_units() {
    all_hold(
        &[
            "handshake_ns > 50ms",
            "handshake > 50ms",
            "handshake > 0s",
            "handshake > -1ms",
            "handshake == 50000001",
            "handshake in 50ms..51ms",
            "handshake < 0.1s",
            "payload_bytes == 10k",
            "payload_bytes == 10kB",
            "payload_bytes < 10Ki",
            "payload_bytes in 1k..1M",
        ],
        &["handshake > 51ms", "handshake <= 50ms", "payload_bytes > 0.01M", "payload_bytes >= 1G"],
    );
    assert!(mistake("fins > 1ms").said().contains("`1ms` is not a number"));
    assert!(mistake("fins > 1k").said().contains("`1k` is not a number"));
    assert!(mistake("payload_bytes > 1e400").said().contains("is not"));
}

#[test]
fn instants_may_be_cut_short() {
    all_hold(
        &[
            "first_ts >= 2026-01-02T03",
            "first_ts > 2026",
            "first_ts < 2026-01-03",
            "first_ts == '2026-01-02 04:04:05+01:00'",
            "first_ts in 2026-01-02..2026-01-03",
        ],
        &["first_ts < 2026-01-02", "first_ts > 2026-01-02T03:04:05", "first_ts in (2025, 2026)"],
    );
    assert!(mistake("first_ts > noon").said().contains("`noon` is not a time such as 2026-"));
}

#[test]
fn words_are_read_in_any_case_and_checked() {
    all_hold(
        &[
            "closing = half_closed",
            "closing = 'half closed'",
            "closing != fin",
            "client_state == TIME_WAIT",
            "client_state == time-wait",
            "client_state in (established, Time-Wait)",
            "closing not in (fin, reset_by_server)",
            "client_state != server_state",
            "closing contains clos",
        ],
        &["client_state == fin-wait-1", "client_state == server_state", "closing in (fin)"],
    );
    assert_eq!(
        mistake("closing == rest_by_server").place(),
        ["closing == rest_by_server", "           ^^^^^^^^^^^^^^"]
    );
    assert!(mistake("closing == rest_by_server").said().contains("did you mean `reset_by_server`?"));
    assert!(mistake("closing in (fin, bang)").said().contains("none of its words: fin, half_closed, "));
}

#[test]
fn addresses_are_asked_for_alone_in_networks_and_with_a_port() {
    all_hold(
        &[
            "client_ip = 10.0.0.7",
            "client == 10.0.0.7",
            "client in 10.0.0.0/8",
            "client == 10.0.0.0/8",
            "client in 10.1.2.3/8",
            "client in 0.0.0.0/0",
            "client in (192.168.0.0/16, 10.0.0.7)",
            "client in 10.0.0.1..10.0.0.9",
            "client == 10.0.0.7:40000",
            "client != 10.0.0.7:40001",
            "server in 2001:db8::/32",
            "server in ::/0",
            "server == 2001:DB8:0::1",
            "server == [2001:db8::1]:8443",
            "server == [2001:db8::1]",
            "client not in 2001:db8::/32",
            "client_ip < 10.0.0.10",
            "client ~ 10.0.0",
            "client_ip != server_ip",
        ],
        &[
            "client in 10.0.0.8/29",
            "client in 10.0.0.8/32",
            "client == 10.0.0.7:443",
            "client != 10.0.0.7",
            "server in 10.0.0.0/8",
            "server in 2001:db9::/32",
            "client not in 10.0.0.0/8",
            "client == null",
        ],
    );
    for bad in [
        "client == 10.0.0",
        "client in 10.0.0.0/33",
        "client in ::/129",
        "client in 10.0.0.0/+8",
        "client == 10.0.0.1:65536",
        "client == ::1:443:x",
        "client < 10.0.0.1",
        "client_ip == 10.0.0.1:443",
        "client == server",
        "client in 10.0.0.1..::1..3",
    ] {
        mistake(bad);
    }
}

#[test]
fn text_is_looked_into() {
    all_hold(
        &[
            "app_name contains Example",
            "app_name ~ example",
            "app_name ~ *.example.com",
            "app_name ~ 'www.*.COM'",
            "app_name ~ *",
            "app_name == www.Example.com",
            "app_name in ('a b', www.Example.com)",
        ],
        &[
            "app_name contains example",
            "app_name ~ example.*",
            "app_name ~ www.*www.*",
            "app_name ~ *.com.com",
            "app_name == www.example.com",
            "app_name == server_ip",
        ],
    );
    assert!(mistake("fins contains 2").said().contains("`fins` is no text"));
}

#[test]
fn flags_stand_alone() {
    all_hold(
        &["role_known", "role_known = true", "!role_known == false", "not not role_known", "!!role_known"],
        &["!role_known", "not role_known", "role_known = false", "role_known != true"],
    );
    mistake("role_known = maybe");
    mistake("fins");
}

#[test]
fn and_binds_more_than_or_and_not_more_than_both() {
    all_hold(
        &[
            "fins = 2 or fins = 3 and fins = 4",
            "fins = 2 || fins = 3 && fins = 4",
            "not fins = 3 and fins = 2",
            "NOT fins = 3 AND fins = 2",
            "fins=3 and fins=4 or fins=2",
            "(((fins = 2)))",
            "fins = 3 or (fins = 2 and not (fins = 4 or fins = 5))",
            "fins=2&&fins=2",
            "closing=half_closed||fins=9",
        ],
        &[
            "(fins = 2 or fins = 3) and fins = 4",
            "not (fins = 3 or fins = 2)",
            "not fins = 2 or fins = 3",
            "fins = 3 and fins = 2 or fins = 4",
        ],
    );
}

#[test]
fn unknown_compares_as_false_and_null_asks_for_it() {
    all_hold(
        &["closing != null", "fins != null", "fins in (null, 2)", "not fins = null", "fins not in (null)"],
        &["fins = null", "fins in (null, 3)"],
    );
    let unknown = |text: &str| Predicate::parse(text, &fields()).unwrap().holds(|_| Value::Null);
    for no in ["connect > 0", "connect <= 1s", "connect != 5", "connect == handshake", "connect != handshake"] {
        assert!(!unknown(no), "{no}");
    }
    for no in [
        "fins not in (null)",
        "role_known",
        "closing != fin",
        "client != 10.0.0.1",
        "client not in 10.0.0.0/8",
        "app_name ~ *",
    ] {
        assert!(!unknown(no), "{no}");
    }
    for yes in ["connect == null", "client == null", "connect in (null, 5ms)", "not connect > 0"] {
        assert!(unknown(yes), "{yes}");
    }
    assert!(mistake("fins > null").said().contains("only be == null"));
    assert!(holds("app_name != 'null'"));
}

#[test]
fn fields_compare_with_fields_of_their_kind() {
    all_hold(&["server_port > fins", "client_port != server_port", "payload_bytes > fins"], &["client_port < fins"]);
    assert!(mistake("handshake > fins").said().contains("they cannot be compared"));
    assert!(mistake("fins > 'fins'").said().contains("`fins` is not a number"));
}

#[test]
fn a_mistake_points_at_its_place() {
    let points = |text: &str, said: &str, marks: &str| {
        let mistake = mistake(text);
        assert!(mistake.said().contains(said), "{text}: {mistake}");
        assert_eq!(mistake.place(), [text, marks], "{mistake}");
    };
    points("handshak > 50ms", "no column named `handshak`; did you mean `handshake`?", "^^^^^^^^");
    points(
        "fins = 2 and colour = red",
        "no column named `colour`; `finwait schema connections` lists them",
        &at(13, 6),
    );
    points("", "it ends where a column should be", "^");
    points("fins = 2 and", "it ends where a column should be", &at(12, 1));
    points("and", "no column named `and`", "^^^");
    points("closing", "`closing` must be compared", "^^^^^^^");
    points("closing =", "it ends where a value for `closing` should be", &at(9, 1));
    points("closing = )", "`)` stands where a value for `closing` should", &at(10, 1));
    points("fins = many", "`fins`: `many` is not a number", &at(7, 4));
    points("fins = inf", "`inf` is not a number", &at(7, 3));
    points("(fins = 2", "there is a ( without its )", "^");
    points("fins = 2)", "there is a ) without its (", &at(8, 1));
    points("fins = 2 fins = 3", "`fins` stands where and, or, or ) should", &at(9, 4));
    points("fins ! 2", "`fins` must be compared", "^^^^");
    points("closing = 'fin", "there is a ' without its end", &at(10, 1));
    points("fins in (1, 2", "there is a ( without its )", &at(8, 1));
    points("fins in (1 2)", "`2` stands where , or ) should", &at(11, 1));
    points("fins in {1)", "`)` stands where , or } should", &at(10, 1));
    points("fins in ()", "`)` stands where a value for `fins` should", &at(9, 1));
    points("10.0.0.1 = client", "`10.0.0.1` stands where a column should", "^^^^^^^^");
    points("µ = 1", "no column named `µ`", "^");
}

fn at(before: usize, marks: usize) -> String {
    " ".repeat(before) + &"^".repeat(marks)
}

#[test]
fn depth_is_no_matter_and_length_has_an_end() {
    let deep = format!("{}fins = 2{}", "(".repeat(30_000), ")".repeat(30_000));
    assert!(holds(&deep));
    assert!(holds(&format!("{}fins = 2", "not ".repeat(16_000))));
    assert!(mistake(&"(".repeat(60_000)).said().contains("it ends where a column should be"));
    assert!(mistake(&" ".repeat(70_000)).said().contains("longer than 65536 bytes"));
    let wide = vec!["fins = 3"; 5_000].join(" or ");
    assert!(!holds(&wide));
}

/// A condition as it could be written, and what it means.
#[derive(Clone, Debug)]
enum Meant {
    Test(&'static str, bool),
    Not(Box<Meant>),
    And(Box<Meant>, Box<Meant>),
    Or(Box<Meant>, Box<Meant>),
}

impl Meant {
    fn holds(&self) -> bool {
        match self {
            Self::Test(_, holds) => *holds,
            Self::Not(inner) => !inner.holds(),
            Self::And(left, right) => left.holds() && right.holds(),
            Self::Or(left, right) => left.holds() || right.holds(),
        }
    }

    const fn strength(&self) -> u8 {
        match self {
            Self::Or(..) => 0,
            Self::And(..) => 1,
            Self::Not(_) => 2,
            Self::Test(..) => 3,
        }
    }

    /// In brackets only where they are needed.
    fn write(&self, out: &mut String, least: u8) {
        let brackets = self.strength() < least;
        out.push_str(if brackets { "(" } else { "" });
        match self {
            Self::Test(text, _) => out.push_str(text),
            Self::Not(inner) => {
                out.push_str(if out.len().is_multiple_of(2) { "not " } else { "!" });
                inner.write(out, 2);
            }
            Self::And(left, right) => {
                left.write(out, 1);
                out.push_str(if out.len().is_multiple_of(2) { " and " } else { "&&" });
                right.write(out, 2);
            }
            Self::Or(left, right) => {
                left.write(out, 0);
                out.push_str(if out.len().is_multiple_of(2) { " or " } else { "||" });
                right.write(out, 1);
            }
        }
        out.push_str(if brackets { ")" } else { "" });
    }
}

impl fmt::Display for Meant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = String::new();
        self.write(&mut out, 0);
        f.write_str(&out)
    }
}

fn meant() -> impl Strategy<Value = Meant> {
    let tests = [
        ("fins == 2", true),
        ("fins>2", false),
        ("connect < 5ms", false),
        ("connect == null", true),
        ("client in 10.0.0.0/8", true),
        ("closing in (fin, 'half closed')", true),
        ("closing not in {half_closed}", false),
        ("role_known", true),
        ("app_name ~ \"*.com\"", true),
        ("client_state = closed", false),
    ];
    let leaf = proptest::sample::select(tests.to_vec()).prop_map(|(text, holds)| Meant::Test(text, holds));
    leaf.prop_recursive(6, 48, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|inner| Meant::Not(Box::new(inner))),
            (inner.clone(), inner.clone()).prop_map(|(left, right)| Meant::And(Box::new(left), Box::new(right))),
            (inner.clone(), inner).prop_map(|(left, right)| Meant::Or(Box::new(left), Box::new(right))),
        ]
    })
}

/// Text of the language's own pieces, in any order.
fn pieces() -> impl Strategy<Value = String> {
    let pieces = [
        "fins",
        "client",
        "closing",
        "first_ts",
        "(",
        ")",
        "{",
        "}",
        ",",
        "==",
        "!=",
        "<",
        ">=",
        "!",
        "~",
        "in",
        "not",
        "and",
        "&&",
        "or",
        "||",
        "contains",
        "null",
        "10.0.0.0/8",
        "1..2",
        "..",
        "'",
        "\"",
        "50ms",
        "2026-01",
        "fin",
        "é",
        "\t",
        "[::1]:80",
        "/",
        "-",
        "18446744073709551616",
        "1e308",
        "99999999999999999999d",
    ];
    prop::collection::vec((proptest::sample::select(pieces.to_vec()), any::<bool>()), 0..24).prop_map(|chosen| {
        chosen.into_iter().fold(String::new(), |mut text, (piece, blank)| {
            let _ = write!(text, "{piece}{}", if blank { " " } else { "" });
            text
        })
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_as_it_was_meant(meant in meant()) {
        let text = meant.to_string();
        let read = Predicate::parse(&text, &fields());
        prop_assert!(read.is_ok(), "{}: {}", text, read.unwrap_err());
        prop_assert_eq!(read.unwrap().holds(value), meant.holds(), "{}", text);
    }

    #[test]
    fn no_text_makes_it_panic(text in prop_oneof![pieces(), any::<String>(), "[ -~]{0,60}"]) {
        match Predicate::parse(&text, &fields()) {
            Ok(predicate) => {
                predicate.holds(value);
                predicate.holds(|_| Value::Null);
            }
            Err(mistake) => {
                let [shown, marks] = mistake.place();
                prop_assert!(marks.ends_with('^') && marks.len() <= shown.chars().count() + 1, "{mistake}");
            }
        }
    }
}
