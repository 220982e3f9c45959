//! From the text to steps. In: a condition and the fields. Out: its steps, or the first mistake.
//!
//! What waits for its right-hand side stands on a stack of its own: brackets may be nested as deep as the text is long.

use std::ops::Range;

use nom::branch::alt;
use nom::character::complete::char;

use super::fields::{Fields, Found, Kind};
use super::literal;
use super::mistake::Mistake;
use super::step::Step;
use super::syntax::{Cursor, and, keyword, name, negation, operator, or, quoted, word, word_in_list};
use super::test::{Literal, Member, Operator, Test};

/// Longer conditions are refused.
const LONGEST: usize = 1 << 16;

/// What waits for its right-hand side, weakest first. `and` and `or` know the jump that passes it over.
#[derive(Clone, Debug)]
enum Pending {
    Open(Range<usize>),
    Or(usize),
    And(usize),
    Not,
}

impl Pending {
    const fn strength(&self) -> u8 {
        match self {
            Self::Open(_) => 0,
            Self::Or(_) => 1,
            Self::And(_) => 2,
            Self::Not => 3,
        }
    }
}

/// Where a mistake is, and what.
struct Wrong(Range<usize>, String);

/// Reads a whole condition.
pub(super) fn predicate(text: &str, fields: &Fields) -> Result<Vec<Step>, Mistake> {
    let read = || {
        if text.len() > LONGEST {
            let said = format!("it is longer than {LONGEST} bytes");
            return Err(Wrong(0..0, said));
        }
        let mut parse = Parse { cursor: Cursor::new(text), text, fields, steps: Vec::new(), pending: Vec::new() };
        parse.all()?;
        Ok(parse.steps)
    };
    read().map_err(|Wrong(at, said)| Mistake::new(text, at, said))
}

struct Parse<'a> {
    cursor: Cursor<'a>,
    text: &'a str,
    fields: &'a Fields,
    steps: Vec<Step>,
    pending: Vec<Pending>,
}

impl<'a> Parse<'a> {
    fn all(&mut self) -> Result<(), Wrong> {
        loop {
            self.operand()?;
            if !self.behind_operand()? {
                return Ok(());
            }
        }
    }

    /// Opening brackets and negations, then a test.
    fn operand(&mut self) -> Result<(), Wrong> {
        loop {
            if let Some((_, at)) = self.cursor.take(char('(')) {
                self.pending.push(Pending::Open(at));
            } else if self.cursor.take(negation).is_some() {
                self.pending.push(Pending::Not);
            } else {
                let test = self.test()?;
                self.steps.push(Step::Test(test));
                return Ok(());
            }
        }
    }

    /// Closing brackets, then what joins the next operand; false at the end of the text.
    fn behind_operand(&mut self) -> Result<bool, Wrong> {
        loop {
            if let Some((_, at)) = self.cursor.take(char(')')) {
                self.settle(1);
                if self.pending.pop().is_none() {
                    return Err(Wrong(at, "there is a ) without its (".to_owned()));
                }
            } else if self.cursor.take(and).is_some() {
                self.settle(2);
                self.pending.push(Pending::And(self.steps.len()));
                self.steps.push(Step::IfFalse(0));
                return Ok(true);
            } else if self.cursor.take(or).is_some() {
                self.settle(1);
                self.pending.push(Pending::Or(self.steps.len()));
                self.steps.push(Step::IfTrue(0));
                return Ok(true);
            } else if self.cursor.is_at_end() {
                self.settle(1);
                return match self.pending.pop() {
                    Some(Pending::Open(at)) => Err(Wrong(at, "there is a ( without its )".to_owned())),
                    _ => Ok(false),
                };
            } else {
                let at = self.cursor.what_is_here();
                let found = self.shown(&at);
                return Err(Wrong(at, format!("{found} stands where and, or, or ) should")));
            }
        }
    }

    /// Finishes what waits and binds at least as strongly as `least`.
    fn settle(&mut self, least: u8) {
        while let Some(pending) = self.pending.pop_if(|waiting| waiting.strength() >= least) {
            let end = self.steps.len();
            match pending {
                Pending::Not => self.steps.push(Step::Not),
                Pending::And(jump) | Pending::Or(jump) => {
                    if let Some(Step::IfFalse(to) | Step::IfTrue(to)) = self.steps.get_mut(jump) {
                        *to = end;
                    }
                }
                Pending::Open(_) => {}
            }
        }
    }

    fn test(&mut self) -> Result<Test, Wrong> {
        let Some((column, at)) = self.cursor.take(name) else {
            return Err(self.missing("a column"));
        };
        let Some(found) = self.fields.find(column) else {
            let hint = match self.fields.like(column) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "`finwait schema connections` lists them".to_owned(),
            };
            return Err(Wrong(at, format!("no column named {}; {hint}", self.shown_word(column))));
        };
        let field = found.place;
        if let Some((operator, _)) = self.cursor.take(operator) {
            return self.comparison(column, &found, operator);
        }
        let is_outside = {
            let before = self.cursor;
            let negated = self.cursor.take(negation).is_some();
            if negated && self.cursor.take(keyword("in")).is_some() {
                Some(false)
            } else {
                self.cursor = before;
                self.cursor.take(keyword("in")).map(|_| true)
            }
        };
        if let Some(is) = is_outside {
            let members = self.list(column, &found)?;
            return Ok(Test::In { field, port: found.port, members, is });
        }
        let in_any_case = if self.cursor.take(keyword("contains")).is_some() {
            Some(false)
        } else {
            self.cursor.take(char('~')).map(|_| true)
        };
        if let Some(in_any_case) = in_any_case {
            if !matches!(found.kind, Kind::Text | Kind::Address | Kind::Words(_)) {
                return Err(Wrong(at, format!("`{column}` is no text: it is {}", found.kind.what())));
            }
            let Some((text, _)) = self.cursor.take(alt((quoted, word))) else {
                return Err(self.missing("a text to look for"));
            };
            return Ok(Test::Like { field, pattern: literal::pattern(text, in_any_case) });
        }
        if *found.kind == Kind::Flag {
            return Ok(Test::Compare { field, operator: Operator::Equal, with: Literal::Flag(true) });
        }
        Err(Wrong(at, format!("`{column}` must be compared: == != < <= > >= in contains ~")))
    }

    fn comparison(&mut self, column: &str, found: &Found<'_>, operator: Operator) -> Result<Test, Wrong> {
        let (field, kind) = (found.place, found.kind);
        let equality = match operator {
            Operator::Equal => Some(true),
            Operator::Unequal => Some(false),
            _ => None,
        };
        let (text, at, bare) = match self.cursor.take(quoted) {
            Some((text, at)) => (text, at, false),
            None => match self.cursor.take(word) {
                Some((text, at)) => (text, at, true),
                None => return Err(self.missing(&format!("a value for `{column}`"))),
            },
        };
        if bare && text == "null" {
            let said = || format!("`{column}` can only be == null or != null");
            return equality.map(|is| Test::IsNull { field, is }).ok_or_else(|| Wrong(at, said()));
        }
        if found.port.is_some() && equality.is_none() {
            return Err(Wrong(at, format!("`{column}` has no order: == != in contains ~")));
        }
        let read = match (kind, equality) {
            (Kind::Address, Some(is)) => literal::member(text, kind, found.port.is_some()).map(|member| Test::In {
                field,
                port: found.port,
                members: vec![member],
                is,
            }),
            _ => literal::read(text, kind).map(|with| Test::Compare { field, operator, with }),
        };
        read.or_else(|said| match self.fields.find(text).filter(|_| bare && found.port.is_none()) {
            Some(other) if kind.compares_with(other.kind) && other.port.is_none() => {
                Ok(Test::Fields { left: field, operator, right: other.place })
            }
            Some(other) => {
                let (this, that) = (kind.what(), other.kind.what());
                Err(Wrong(at, format!("`{column}` is {this}, but `{text}` is {that}: they cannot be compared")))
            }
            None => Err(Wrong(at, format!("`{column}`: {} {said}", self.shown_word(text)))),
        })
    }

    /// What `in` names: one of them, or several in brackets.
    fn list(&mut self, column: &str, found: &Found<'_>) -> Result<Vec<Member>, Wrong> {
        let open = self.cursor.take(alt((char('('), char('{'))));
        let mut members = Vec::new();
        loop {
            let (text, at, bare) = match self.cursor.take(quoted) {
                Some((text, at)) => (text, at, false),
                None => match self.cursor.take(word_in_list) {
                    Some((text, at)) => (text, at, true),
                    None => return Err(self.missing(&format!("a value for `{column}`"))),
                },
            };
            members.push(if bare && text == "null" {
                Member::Null
            } else {
                let member = literal::member(text, found.kind, found.port.is_some());
                member.map_err(|said| Wrong(at, format!("`{column}`: {} {said}", self.shown_word(text))))?
            });
            let Some((bracket, opened)) = &open else { return Ok(members) };
            let close = if *bracket == '(' { ')' } else { '}' };
            if self.cursor.take(char(close)).is_some() {
                return Ok(members);
            }
            if self.cursor.is_at_end() {
                return Err(Wrong(opened.clone(), format!("there is a {bracket} without its {close}")));
            }
            if self.cursor.take(char(',')).is_none() {
                let at = self.cursor.what_is_here();
                let found = self.shown(&at);
                return Err(Wrong(at, format!("{found} stands where , or {close} should")));
            }
        }
    }

    /// The mistake of something else, or nothing, where `wanted` should be.
    fn missing(&mut self, wanted: &str) -> Wrong {
        let at = self.cursor.what_is_here();
        let here = self.text.get(at.clone()).unwrap_or_default();
        if here.starts_with(['\'', '"']) && here.chars().count() == 1 {
            return Wrong(at, format!("there is a {here} without its end"));
        }
        let said = if self.cursor.is_at_end() {
            format!("it ends where {wanted} should be")
        } else {
            format!("{} stands where {wanted} should", self.shown(&at))
        };
        Wrong(at, said)
    }

    fn shown(&self, at: &Range<usize>) -> String {
        self.shown_word(self.text.get(at.clone()).unwrap_or_default())
    }

    /// A word in a message: of a long one its beginning.
    fn shown_word(&self, word: &str) -> String {
        let beginning: String = word.chars().take(40).collect();
        let more = if beginning.len() < word.len() { "…" } else { "" };
        format!("`{beginning}{more}`")
    }
}
