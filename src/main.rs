//! `finwait`: what was typed → what is decided → run → exit status.

use std::process::ExitCode;

use finwait::cli::{self, args, settings::Settings};

fn main() -> ExitCode {
    match args::parse(std::env::args_os()) {
        Ok(args) => {
            let settings = Settings::decide(&args.common);
            cli::run(&args.command, &settings).into()
        }
        // Help and version are "errors" to clap: it prints them to standard output and their status is 0.
        Err(said) => said.exit(),
    }
}
