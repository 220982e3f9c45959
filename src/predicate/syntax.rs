//! The pieces that a condition is written in. In: the text from a place on. Out: the next piece, and what is behind it.

use std::ops::Range;

use nom::branch::alt;
use nom::bytes::complete::{tag, take, take_while, take_while1};
use nom::character::complete::char;
use nom::combinator::{not, value, verify};
use nom::sequence::{delimited, terminated};
use nom::{IResult, Parser};

use super::test::Operator;

type Piece<'a, T> = IResult<&'a str, T, ()>;

/// A place in the text; pieces are taken from there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    text: &'a str,
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text, rest: text }
    }

    /// Takes a piece that stands here, behind blanks, and says where it stood.
    pub(super) fn take<T>(&mut self, piece: impl Parser<&'a str, Output = T, Error = ()>) -> Option<(T, Range<usize>)> {
        let start = self.place();
        let mut piece = piece;
        let (rest, taken) = piece.parse(self.text.get(start..)?).ok()?;
        self.rest = rest;
        Some((taken, start..self.text.len() - rest.len()))
    }

    /// Where the next piece begins.
    pub(super) fn place(&mut self) -> usize {
        self.rest = self.rest.trim_start();
        self.text.len() - self.rest.len()
    }

    /// Nothing but blanks is left.
    pub(super) fn is_at_end(&mut self) -> bool {
        self.place() == self.text.len()
    }

    /// What stands here, whatever it is, for a message.
    pub(super) fn what_is_here(&mut self) -> Range<usize> {
        let here = *self;
        let anything = alt((quoted, name, word_in_list, take(1_usize)));
        let range = self.take(anything).map(|(_, range)| range);
        let end = self.text.len();
        *self = here;
        range.unwrap_or(end..end)
    }
}

/// A field's name or a keyword.
pub(super) fn name(input: &str) -> Piece<'_, &str> {
    let is_part = |char: char| char.is_alphanumeric() || char == '_';
    verify(take_while1(is_part), |name: &str| !name.starts_with(|char: char| char.is_ascii_digit())).parse(input)
}

/// One of the words of the language, in any case.
pub(super) fn keyword<'a>(wanted: &'static str) -> impl Parser<&'a str, Output = &'a str, Error = ()> {
    verify(name, move |found: &str| found.eq_ignore_ascii_case(wanted))
}

pub(super) fn and(input: &str) -> Piece<'_, &str> {
    alt((keyword("and"), tag("&&"))).parse(input)
}

pub(super) fn or(input: &str) -> Piece<'_, &str> {
    alt((keyword("or"), tag("||"))).parse(input)
}

/// `!` too, but not that of `!=`.
pub(super) fn negation(input: &str) -> Piece<'_, &str> {
    alt((keyword("not"), terminated(tag("!"), not(char('='))))).parse(input)
}

pub(super) fn operator(input: &str) -> Piece<'_, Operator> {
    alt((
        value(Operator::Equal, tag("==")),
        value(Operator::Equal, tag("=")),
        value(Operator::Unequal, tag("!=")),
        value(Operator::LessOrEqual, tag("<=")),
        value(Operator::Less, tag("<")),
        value(Operator::GreaterOrEqual, tag(">=")),
        value(Operator::Greater, tag(">")),
    ))
    .parse(input)
}

/// Text in quotes of either kind: with blanks, brackets and keywords in it.
pub(super) fn quoted(input: &str) -> Piece<'_, &str> {
    let between = |quote| delimited(char(quote), take_while(move |char| char != quote), char(quote));
    alt((between('\''), between('"'))).parse(input)
}

/// A value without quotes: up to a blank, a bracket, a comparison, a quote, `&&` or `||`.
pub(super) fn word(input: &str) -> Piece<'_, &str> {
    up_to(input, "()=!<>'\"")
}

/// The same where a comma or a brace ends it, too.
pub(super) fn word_in_list(input: &str) -> Piece<'_, &str> {
    up_to(input, "()=!<>'\",{}")
}

fn up_to<'a>(input: &'a str, ends: &str) -> Piece<'a, &'a str> {
    let is_end = |(at, char): &(usize, char)| {
        let behind = input.get(*at..).unwrap_or_default();
        char.is_whitespace() || ends.contains(*char) || behind.starts_with("&&") || behind.starts_with("||")
    };
    let length = input.char_indices().find(is_end).map_or(input.len(), |(at, _)| at);
    // In characters, as nom counts them.
    let chars = input.get(..length).map_or(0, |word| word.chars().count());
    verify(take(chars), |word: &str| !word.is_empty()).parse(input)
}
