//! `--where`: a condition on a row, in words: `closing = reset_by_server and (handshake_ns > 1s or not role_known)`.
//! In: the text and what kind of value each column holds. Out: true or false for a row.
//!
//! Unknown (null) compares as false with everything; `= null` and `!= null` ask for it. Spans take units (`1.5ms`);
//! times compare as they are written (`first_ts >= 2026-01-02T03:04`). Quotes keep blanks and words like `and` together.

use std::cmp::Ordering;

use super::duration;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A count, a size, a number of nanoseconds.
    Number,
    /// Words, addresses, times as they are written.
    Text,
    /// True or false.
    Bool,
}

/// A row's value in a column.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Unknown.
    Null,
    /// See [`Kind::Number`].
    Number(f64),
    /// See [`Kind::Text`].
    Text(String),
    /// See [`Kind::Bool`].
    Bool(bool),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A condition in postfix order: evaluated with a stack, without recursion.
#[derive(Debug)]
pub struct Condition(Vec<Step>);

#[derive(Debug)]
enum Step {
    Compare { column: String, operator: Operator, with: Value },
    Not,
    And,
    Or,
}

/// What waits for its right-hand side while a condition is read, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Pending {
    Open,
    Or,
    And,
    Not,
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Open,
    Close,
    Operator(Operator),
    Word(String),
    Quoted(String),
}

impl Condition {
    /// Reads a condition; `kind_of` knows the columns.
    ///
    /// # Errors
    ///
    /// A sentence for the user that says what was expected where.
    pub fn parse(text: &str, kind_of: impl Fn(&str) -> Option<Kind>) -> Result<Self, String> {
        let mut tokens = tokens(text)?.into_iter().peekable();
        let mut steps = Vec::new();
        let mut pending: Vec<Pending> = Vec::new();
        // Whether a comparison, `not` or `(` must come next; otherwise `and`, `or` or `)`.
        let mut operand_next = true;
        while let Some(token) = tokens.next() {
            match token {
                Token::Open if operand_next => pending.push(Pending::Open),
                Token::Close if !operand_next => {
                    settle(&mut pending, &mut steps, Pending::Or);
                    if pending.pop() != Some(Pending::Open) {
                        return Err("there is a ) without its (".to_owned());
                    }
                }
                Token::Word(word) if operand_next && word == "not" => pending.push(Pending::Not),
                Token::Word(word) if !operand_next && (word == "and" || word == "or") => {
                    let joined_by = if word == "and" { Pending::And } else { Pending::Or };
                    settle(&mut pending, &mut steps, joined_by);
                    pending.push(joined_by);
                    operand_next = true;
                }
                Token::Word(column) if operand_next => {
                    let kind =
                        kind_of(&column).ok_or_else(|| format!("no column {column}; finwait schema lists them"))?;
                    let operator = tokens.next_if(|token| matches!(token, Token::Operator(_)));
                    let step = match operator {
                        Some(Token::Operator(operator)) => {
                            let with = literal(&column, kind, operator, tokens.next())?;
                            Step::Compare { column, operator, with }
                        }
                        _ if kind == Kind::Bool => {
                            Step::Compare { column, operator: Operator::Equal, with: Value::Bool(true) }
                        }
                        _ => return Err(format!("{column} must be compared: = != < <= > >=")),
                    };
                    steps.push(step);
                    operand_next = false;
                }
                other => {
                    let wanted = if operand_next { "a column, not or (" } else { "and, or or )" };
                    return Err(format!("found {} where {wanted} should be", shown(&other)));
                }
            }
        }
        if operand_next {
            return Err("it ends where a column should be".to_owned());
        }
        settle(&mut pending, &mut steps, Pending::Or);
        if pending.is_empty() { Ok(Self(steps)) } else { Err("there is a ( without its )".to_owned()) }
    }

    /// Whether a row meets it; `value_of` knows the row.
    pub fn holds(&self, value_of: impl Fn(&str) -> Value) -> bool {
        let mut stack: Vec<bool> = Vec::new();
        for step in &self.0 {
            let value = match step {
                Step::Compare { column, operator, with } => compare(&value_of(column), *operator, with),
                // Parsing gives every operation its operands, so the defaults below are never used.
                Step::Not => !stack.pop().unwrap_or_default(),
                Step::And => stack.pop().unwrap_or_default() & stack.pop().unwrap_or_default(),
                Step::Or => stack.pop().unwrap_or_default() | stack.pop().unwrap_or_default(),
            };
            stack.push(value);
        }
        stack.pop().unwrap_or_default()
    }
}

/// Moves what binds at least as strongly as `down_to` from the waiting operators to the steps.
fn settle(pending: &mut Vec<Pending>, steps: &mut Vec<Step>, down_to: Pending) {
    while let Some(operator) = pending.pop_if(|waiting| *waiting >= down_to) {
        steps.push(match operator {
            Pending::Not => Step::Not,
            Pending::And => Step::And,
            Pending::Or | Pending::Open => Step::Or,
        });
    }
}

fn compare(value: &Value, operator: Operator, with: &Value) -> bool {
    let order = match (value, with) {
        (Value::Null, Value::Null) => Some(Ordering::Equal),
        (Value::Number(left), Value::Number(right)) => left.partial_cmp(right),
        (Value::Text(left), Value::Text(right)) => Some(left.cmp(right)),
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
        // Known is not null; anything else with null is unknown.
        (value, Value::Null) => return operator == Operator::Unequal && *value != Value::Null,
        _ => None,
    };
    order.is_some_and(|order| match operator {
        Operator::Equal => order.is_eq(),
        Operator::Unequal => order.is_ne(),
        Operator::Less => order.is_lt(),
        Operator::LessOrEqual => order.is_le(),
        Operator::Greater => order.is_gt(),
        Operator::GreaterOrEqual => order.is_ge(),
    })
}

/// The right-hand side, as a value of the column's kind.
fn literal(column: &str, kind: Kind, operator: Operator, token: Option<Token>) -> Result<Value, String> {
    let text = match token {
        Some(Token::Quoted(text)) if kind == Kind::Text => return Ok(Value::Text(text)),
        Some(Token::Word(word) | Token::Quoted(word)) => word,
        Some(other) => return Err(format!("found {} where a value for {column} should be", shown(&other))),
        None => return Err(format!("it ends where a value for {column} should be")),
    };
    if text == "null" {
        return match operator {
            Operator::Equal | Operator::Unequal => Ok(Value::Null),
            _ => Err(format!("{column} can only be = null or != null")),
        };
    }
    match kind {
        Kind::Text => Ok(Value::Text(text)),
        Kind::Bool => text.parse().map(Value::Bool).map_err(|_| format!("{column} is true or false, not {text}")),
        Kind::Number => {
            let plain = text.parse().ok().filter(|number: &f64| number.is_finite());
            let span = || duration::parse(&text).ok().filter(|_| column.ends_with("_ns"));
            let number = plain.or_else(|| span().map(|span| span.as_nanos() as f64));
            number.map(Value::Number).ok_or_else(|| format!("{column} is a number, not {text}"))
        }
    }
}

fn shown(token: &Token) -> &str {
    match token {
        Token::Open => "(",
        Token::Close => ")",
        Token::Operator(_) => "a comparison",
        Token::Word(text) | Token::Quoted(text) => text,
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        let then_equal = |chars: &mut std::iter::Peekable<std::str::Chars<'_>>| chars.next_if_eq(&'=').is_some();
        tokens.push(match char {
            _ if char.is_whitespace() => continue,
            '(' => Token::Open,
            ')' => Token::Close,
            // `==` is what half the world types.
            '=' => {
                then_equal(&mut chars);
                Token::Operator(Operator::Equal)
            }
            '!' if then_equal(&mut chars) => Token::Operator(Operator::Unequal),
            '<' if then_equal(&mut chars) => Token::Operator(Operator::LessOrEqual),
            '<' => Token::Operator(Operator::Less),
            '>' if then_equal(&mut chars) => Token::Operator(Operator::GreaterOrEqual),
            '>' => Token::Operator(Operator::Greater),
            quote @ ('\'' | '"') => {
                let mut quoted = String::new();
                loop {
                    match chars.next() {
                        Some(char) if char == quote => break,
                        Some(char) => quoted.push(char),
                        None => return Err(format!("there is a {quote} without its end")),
                    }
                }
                Token::Quoted(quoted)
            }
            first => {
                let mut word = String::from(first);
                while let Some(char) = chars.next_if(|&char| !char.is_whitespace() && !"()=!<>'\"".contains(char)) {
                    word.push(char);
                }
                Token::Word(word)
            }
        });
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind_of(column: &str) -> Option<Kind> {
        match column {
            "handshake_ns" | "fins" => Some(Kind::Number),
            "closing" | "first_ts" | "client_ip" => Some(Kind::Text),
            "role_known" => Some(Kind::Bool),
            _ => None,
        }
    }

    fn value_of(column: &str) -> Value {
        match column {
            "fins" => Value::Number(2.0),
            "closing" => Value::Text("fin".to_owned()),
            "first_ts" => Value::Text("2026-01-02T03:04:05.000000000Z".to_owned()),
            "client_ip" => Value::Text("2001:db8::1".to_owned()),
            "role_known" => Value::Bool(true),
            _ => Value::Null,
        }
    }

    fn holds(text: &str) -> bool {
        Condition::parse(text, kind_of).unwrap_or_else(|said| panic!("{text}: {said}")).holds(value_of)
    }

    #[test]
    fn comparisons_hold_or_do_not() {
        for yes in [
            "fins = 2",
            "fins==2",
            "fins>1",
            "fins <= 2.5",
            "fins != 3",
            "closing = fin",
            "closing = 'fin'",
            "closing != \"half closed\"",
            "client_ip = 2001:db8::1",
            "role_known",
            "role_known = true",
            "first_ts >= 2026-01-02T03",
            "first_ts < 2026-01-03",
        ] {
            assert!(holds(yes), "{yes}");
        }
        for no in ["fins = 3", "fins < 2", "closing = open", "not role_known", "role_known = false"] {
            assert!(!holds(no), "{no}");
        }
    }

    #[test]
    fn and_binds_more_than_or_and_not_more_than_both() {
        assert!(holds("fins = 2 or fins = 3 and fins = 4"));
        assert!(!holds("(fins = 2 or fins = 3) and fins = 4"));
        assert!(holds("not fins = 3 and fins = 2"));
        assert!(!holds("not (fins = 3 or fins = 2)"));
        assert!(holds("not not role_known"));
    }

    #[test]
    fn unknown_compares_as_false_and_null_asks_for_it() {
        assert!(!holds("handshake_ns > 0"));
        assert!(!holds("handshake_ns <= 1s"));
        assert!(!holds("handshake_ns != 5"));
        assert!(holds("handshake_ns = null"));
        assert!(!holds("handshake_ns != null"));
        assert!(holds("fins != null"));
        assert!(!holds("fins = null"));
    }

    #[test]
    fn spans_take_units() {
        let condition = Condition::parse("handshake_ns > 1.5ms", kind_of).unwrap();
        assert!(condition.holds(|_| Value::Number(1_500_001.0)));
        assert!(!condition.holds(|_| Value::Number(1_500_000.0)));
        assert!(Condition::parse("fins > 1ms", kind_of).is_err());
    }

    #[test]
    fn mistakes_are_told() {
        for bad in [
            "",
            "and",
            "closing",
            "closing =",
            "closing = )",
            "nothing = 1",
            "fins = many",
            "fins = inf",
            "role_known = maybe",
            "fins > null",
            "(fins = 2",
            "fins = 2)",
            "fins = 2 fins = 3",
            "fins = 2 and",
            "fins ! 2",
            "closing = 'fin",
        ] {
            assert!(Condition::parse(bad, kind_of).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn depth_is_no_matter() {
        let deep = format!("{}fins = 2{}", "(".repeat(100_000), ")".repeat(100_000));
        assert!(holds(&deep));
        assert!(holds(&format!("{}fins = 2", "not ".repeat(100_000))));
    }
}
