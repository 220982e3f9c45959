//! `finwait interfaces`: what can be captured on, and why not.

use super::console;
use super::status::Status;
use crate::capture::live::{self, Interface};
use crate::error::Error;

/// Runs the command. Each interface is opened for a moment: nothing else tells for sure.
pub fn run() -> Result<Status, Error> {
    let interfaces = live::interfaces().map_err(|error| Error::Input(error.to_string()))?;
    let width = interfaces.iter().map(|interface| interface.name.chars().count()).max().unwrap_or_default();
    let mut text = String::new();
    for interface in &interfaces {
        let verdict = match live::may_capture(&interface.name) {
            Ok(()) => "can be captured on".to_owned(),
            Err(error) => error.problem().to_string(),
        };
        text.push_str(&format!("{:width$}  {verdict}  · {}\n", interface.name, about(interface)));
    }
    console::print(&text)?;
    if interfaces.is_empty() {
        return Err(Error::Input("this machine shows no interface to capture on".to_owned()));
    }
    Ok(Status::Complete)
}

/// State, addresses and description, as far as they are known.
fn about(interface: &Interface) -> String {
    let state = match (interface.up, interface.running) {
        (false, _) => "down",
        (true, false) => "no carrier",
        (true, true) => "up",
    };
    let kind = [(interface.loopback, "loopback"), (interface.wireless, "wireless")];
    let mut parts = vec![state.to_owned()];
    parts.extend(kind.into_iter().filter(|(is_it, _)| *is_it).map(|(_, name)| name.to_owned()));
    parts.extend(interface.addresses.iter().map(ToString::to_string));
    parts.extend(interface.description.clone());
    parts.join(", ")
}
