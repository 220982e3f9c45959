//! `finwait live` on a real interface: a veth pair between two network namespaces, real sockets at both ends.
//!
//! Needs root and `ip`; elsewhere each test is listed as `ignored` with the reason and counted so in the last line, as
//! `cargo test` prints its own. This file brings its own `main` because a test under the standard harness cannot find out
//! while it runs that it has to be ignored. The same binary, called again inside a namespace, is the client and the server.

#[cfg(not(feature = "full"))]
fn main() {}

#[cfg(feature = "full")]
fn main() -> std::process::ExitCode {
    full::main()
}

#[cfg(feature = "full")]
mod full {
    use std::env;
    use std::fs;
    use std::io::{self, BufRead, BufReader, Read, Write};
    use std::net::{Shutdown, TcpListener, TcpStream};
    use std::os::unix::fs::PermissionsExt;
    use std::panic;
    use std::process::{Child, Command, ExitCode, Output, Stdio};
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread;
    use std::time::Duration;

    use tempfile::TempDir;

    const FINWAIT: &str = env!("CARGO_BIN_EXE_finwait");
    /// Set when this binary is one end of the conversation.
    const ROLE: &str = "FINWAIT_LIVE_TEST_ROLE";
    const SERVER: &str = "10.77.88.2:8000";
    const CONNECTIONS: usize = 3;

    type Test = (&'static str, fn());
    const TESTS: [Test; 5] = [
        ("packets_are_reported_when_the_duration_ends", packets_are_reported_when_the_duration_ends),
        ("ctrl_c_ends_the_run_with_its_report", ctrl_c_ends_the_run_with_its_report),
        ("a_number_of_packets_ends_the_run", a_number_of_packets_ends_the_run),
        (
            "an_interface_that_is_none_is_told_with_those_there_are",
            an_interface_that_is_none_is_told_with_those_there_are,
        ),
        ("without_the_right_the_command_that_gives_it_is_told", without_the_right_the_command_that_gives_it_is_told),
    ];

    pub fn main() -> ExitCode {
        match env::var(ROLE).as_deref() {
            Ok("server") => return serve(),
            Ok(_) => return converse(),
            Err(_) => {}
        }
        let args: Vec<String> = env::args().skip(1).collect();
        let out = &mut io::stdout();
        let wanted = |name: &str| {
            let mut filters = args.iter().filter(|arg| !arg.starts_with('-')).peekable();
            filters.peek().is_none() || filters.any(|filter| name.contains(filter.as_str()))
        };
        let tests: Vec<Test> = TESTS.into_iter().filter(|(name, _)| wanted(name)).collect();
        if args.iter().any(|arg| arg == "--list") {
            tests.iter().for_each(|(name, _)| say(out, &format!("{name}: test")));
            return ExitCode::SUCCESS;
        }

        let why_not = why_not();
        let (mut passed, mut failed) = (0, 0);
        say(out, &format!("\nrunning {} tests", tests.len()));
        for (name, test) in &tests {
            match &why_not {
                Some(reason) => say(out, &format!("test {name} ... ignored, skipped: {reason}")),
                None if panic::catch_unwind(test).is_ok() => {
                    passed += 1;
                    say(out, &format!("test {name} ... ok"));
                }
                None => {
                    failed += 1;
                    say(out, &format!("test {name} ... FAILED"));
                }
            }
        }
        let verdict = if failed == 0 { "ok" } else { "FAILED" };
        let ignored = tests.len() - passed - failed;
        say(out, &format!("\ntest result: {verdict}. {passed} passed; {failed} failed; {ignored} ignored\n"));
        if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    fn say(out: &mut impl Write, line: &str) {
        // Nobody is left to tell if this fails.
        let _ = writeln!(out, "{line}");
    }

    /// Why these tests cannot run here.
    fn why_not() -> Option<String> {
        let ran = |program: &str, args: &[&str]| Command::new(program).args(args).output();
        match ran("id", &["-u"]) {
            Ok(output) if output.stdout == b"0\n" => {}
            _ => return Some("needs root, to make network namespaces".to_owned()),
        }
        let probe = format!("finwait-{}-probe", std::process::id());
        match ran("ip", &["netns", "add", &probe]) {
            Err(_) => Some("needs ip (iproute2)".to_owned()),
            Ok(output) if !output.status.success() => {
                Some(format!("no network namespaces here: {}", String::from_utf8_lossy(&output.stderr).trim()))
            }
            Ok(_) => {
                let _ = ran("ip", &["netns", "del", &probe]);
                None
            }
        }
    }

    /// Two namespaces with a cable between them; gone when dropped.
    struct Lab {
        client: String,
        server: String,
        folder: TempDir,
    }

    impl Lab {
        fn new() -> Self {
            static NUMBER: AtomicU32 = AtomicU32::new(0);
            let name = format!("finwait-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
            let folder = TempDir::new().unwrap();
            let lab = Self { client: format!("{name}-c"), server: format!("{name}-s"), folder };
            for namespace in [&lab.client, &lab.server] {
                ip(&["netns", "add", namespace]);
            }
            ip(&[
                "link",
                "add",
                "cable",
                "netns",
                &lab.client,
                "type",
                "veth",
                "peer",
                "name",
                "cable",
                "netns",
                &lab.server,
            ]);
            for (namespace, address) in [(&lab.client, "10.77.88.1/24"), (&lab.server, "10.77.88.2/24")] {
                ip(&["-n", namespace, "addr", "add", address, "dev", "cable"]);
                ip(&["-n", namespace, "link", "set", "cable", "up"]);
            }
            lab
        }

        fn command(&self, namespace: &str, program: &str) -> Command {
            let mut command = Command::new("ip");
            command.args(["netns", "exec", namespace, program]).current_dir(self.folder.path());
            command
        }

        /// Starts `finwait live cable` beside the client and waits until it watches.
        fn watch(&self, args: &[&str]) -> (Child, impl Read + use<>) {
            let mut command = self.command(&self.client, FINWAIT);
            command.args(["live", "cable", "--format", "csv"]).args(args);
            let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            let mut stderr = BufReader::new(child.stderr.take().unwrap());
            let mut line = String::new();
            stderr.read_line(&mut line).unwrap();
            assert!(line.contains("cable") && line.contains("Ctrl-C"), "{line:?}");
            (child, stderr)
        }

        /// Real connections, one after the other, each closed by the client.
        fn converse(&self) {
            let this = env::current_exe().unwrap();
            let this = this.to_str().unwrap();
            let mut server =
                self.command(&self.server, this).env(ROLE, "server").stdout(Stdio::piped()).spawn().unwrap();
            let mut ready = String::new();
            BufReader::new(server.stdout.take().unwrap()).read_line(&mut ready).unwrap();
            assert_eq!(ready, "ready\n");
            assert!(self.command(&self.client, this).env(ROLE, "client").status().unwrap().success());
            assert!(server.wait().unwrap().success());
        }

        fn finwait(&self, args: &[&str]) -> Output {
            Command::new(FINWAIT).args(args).current_dir(self.folder.path()).output().unwrap()
        }

        fn read(&self, name: &str) -> String {
            fs::read_to_string(self.folder.path().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
        }
    }

    impl Drop for Lab {
        fn drop(&mut self) {
            for namespace in [&self.client, &self.server] {
                let _ = Command::new("ip").args(["netns", "del", namespace]).output();
            }
        }
    }

    fn ip(args: &[&str]) {
        let output = Command::new("ip").args(args).output().unwrap();
        assert!(output.status.success(), "ip {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn serve() -> ExitCode {
        let listener = TcpListener::bind(SERVER).unwrap();
        say(&mut io::stdout(), "ready");
        for _ in 0..CONNECTIONS {
            let (mut stream, _) = listener.accept().unwrap();
            let mut question = Vec::new();
            stream.read_to_end(&mut question).unwrap();
            stream.write_all(b"answer").unwrap();
        }
        ExitCode::SUCCESS
    }

    fn converse() -> ExitCode {
        for _ in 0..CONNECTIONS {
            let mut stream = TcpStream::connect(SERVER).unwrap();
            stream.write_all(b"question").unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            assert_eq!(answer, "answer");
        }
        ExitCode::SUCCESS
    }

    /// The rest of standard error and the exit status.
    fn end(mut child: Child, mut stderr: impl Read) -> (Option<i32>, String) {
        let mut said = String::new();
        stderr.read_to_string(&mut said).unwrap();
        (child.wait().unwrap().code(), said)
    }

    /// Three connections of which every figure that does not depend on the clock is known.
    fn assert_conversation(csv: &str) {
        let mut lines = csv.lines();
        let columns: Vec<&str> = lines.next().unwrap().split(',').collect();
        let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
        assert_eq!(rows.len(), CONNECTIONS, "{csv}");
        for row in rows {
            let value = |column: &str| row[columns.iter().position(|name| *name == column).unwrap()];
            assert_eq!((value("server_ip"), value("server_port")), ("10.77.88.2", "8000"));
            assert_eq!((value("client_ip"), value("role_known")), ("10.77.88.1", "true"));
            assert_eq!((value("opening"), value("closing")), ("handshake", "fin"));
            assert_eq!((value("payload_bytes_client"), value("payload_bytes_server")), ("8", "6"));
            assert_eq!(value("active_closer"), "client");
            assert!(value("handshake_ns").parse::<u64>().unwrap() > 0);
        }
    }

    fn packets_are_reported_when_the_duration_ends() {
        let lab = Lab::new();
        let args = ["--duration", "2s", "--bpf", "tcp port 8000", "--write", "kept.pcapng", "-o", "out"];
        let (child, stderr) = lab.watch(&args);
        lab.converse();
        assert_eq!(end(child, stderr), (Some(0), String::new()));
        let live = lab.read("out/connections.csv");
        assert_conversation(&live);
        assert!(lab.read("out/summary.json").contains("\"drops\": 0"), "{}", lab.read("out/summary.json"));

        let again = lab.finwait(&["kept.pcapng", "-q", "-o", "again", "--format", "csv"]);
        assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
        assert_eq!(lab.read("again/connections.csv"), live);
        assert_eq!(lab.read("again/transitions.csv"), lab.read("out/transitions.csv"));
    }

    fn ctrl_c_ends_the_run_with_its_report() {
        let lab = Lab::new();
        let (child, stderr) = lab.watch(&["--bpf", "tcp", "-q"][..2]);
        lab.converse();
        // The last packets are still on their way from the kernel.
        thread::sleep(Duration::from_millis(300));
        // `ip netns exec` becomes the program it runs, so the child is finwait itself.
        let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
        assert!(killed.success());
        assert_eq!(end(child, stderr), (Some(0), String::new()));
        assert_conversation(&lab.read("reports/live-cable/connections.csv"));
    }

    fn a_number_of_packets_ends_the_run() {
        let lab = Lab::new();
        let (child, stderr) = lab.watch(&["--bpf", "tcp", "--packets", "4", "--write", "kept.pcapng", "-o", "out"]);
        lab.converse();
        assert_eq!(end(child, stderr), (Some(0), String::new()));
        let kept = lab.finwait(&["kept.pcapng", "-q", "-o", "again"]);
        assert!(kept.status.success());
        for summary in ["out/summary.json", "again/summary.json"] {
            assert!(lab.read(summary).contains("\"packets\": 4"), "{summary}: {}", lab.read(summary));
        }
    }

    fn an_interface_that_is_none_is_told_with_those_there_are() {
        let lab = Lab::new();
        let output = lab.command(&lab.client, FINWAIT).args(["live", "eth77"]).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.starts_with("finwait: eth77: no such interface") && said.contains("cable"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        let listed = lab.command(&lab.client, FINWAIT).arg("interfaces").output().unwrap();
        assert!(listed.status.success());
        assert!(String::from_utf8(listed.stdout).unwrap().contains("cable"));
    }

    fn without_the_right_the_command_that_gives_it_is_told() {
        let lab = Lab::new();
        if Command::new("setpriv").arg("--version").output().is_err() {
            say(&mut io::stdout(), "skipped: needs setpriv (util-linux)");
            return;
        }
        // Where nobody in particular may read it: the build folder may be root's own.
        fs::set_permissions(lab.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let program = lab.folder.path().join("finwait");
        fs::copy(FINWAIT, &program).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let mut command = lab.command(&lab.client, "setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "--bounding-set", "-all"]);
        let output = command.arg(&program).args(["live", "cable", "-o", "/tmp/finwait-nobody"]).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.starts_with("finwait: cable: no right to capture"), "{said}");
        assert!(said.contains("setcap cap_net_raw,cap_net_admin=eip"), "{said}");
    }
}
