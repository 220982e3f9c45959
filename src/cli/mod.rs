//! The command line: what was typed, what follows from it, one file a command. In: arguments. Out: an exit status.

pub mod args;
pub mod console;
mod instant;
pub mod settings;
pub mod size;
pub mod status;

mod completions;
mod condition;
mod extract;
mod follow;
mod interfaces;
mod list;
mod live;
mod outcome;
mod report;
mod schema;
mod show;
mod spool;
mod stem;

use crate::error::Error;
use args::Command;
use settings::Settings;
use status::Status;

/// Runs a command to its end and says on standard error why it failed, if it did.
pub fn run(command: &Command, settings: &Settings) -> Status {
    let outcome = match command {
        Command::Report(args) => report::run(args, settings),
        Command::Live(args) => live::run(args, settings),
        Command::Show(args) => show::run(args, settings),
        Command::List(args) => list::run(args, settings),
        Command::Follow(args) => follow::run(args, settings),
        Command::Extract(args) => extract::run(args, settings),
        Command::Schema(args) => schema::run(args),
        Command::Interfaces => interfaces::run(),
        Command::Completions { shell } => completions::completions(*shell),
        Command::Man { dir } => completions::man(dir.as_deref()),
    };
    outcome.unwrap_or_else(|error: Error| {
        match &error {
            Error::Condition { said, place } => console::say_and_show(said, place),
            _ => console::say(&error),
        }
        Status::Nothing
    })
}
