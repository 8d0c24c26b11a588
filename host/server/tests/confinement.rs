//! What a confined process can still do, seen from inside: this program runs itself as that process.

use std::fs::{self, File};
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio, exit};
use std::thread;
use std::time::Duration;
use wasmill_server::confinement::{Account, Confinement, Limits};

/// Ends with it where the machine cannot confine it.
const REFUSED: i32 = 78;
const LIMITS: Limits = Limits { memory: 512 << 20, files: 100, tasks: 100 };

fn main() {
    let arguments: Vec<_> = std::env::args_os().map(PathBuf::from).collect();
    match arguments.get(1).and_then(|word| word.to_str()) {
        Some("inside") => inside(&arguments[2], &arguments[3], arguments.get(4)),
        Some("again") => println!("runs"),
        _ => outside(),
    }
}

/// Everything that is tried, and how it ends.
fn inside(home: &Path, port: &Path, account: Option<&PathBuf>) {
    let own = home.join("own");
    let limits = LIMITS;
    let account = account.map(|account| Account::find(&account.to_string_lossy()).expect("a user"));
    let folders = vec![(own.clone(), own.clone()), (own.clone(), "/run/wasmill".into())];
    let mut about = File::open("/proc/self/status").expect("it is there");
    let confinement = Confinement { folders, stage: home.join("stage"), account, limits };
    if let Err(error) = confinement.apply() {
        println!("refused: {}", error.report());
        exit(REFUSED);
    }
    let say = |what: &str, result: bool| println!("{what}: {}", if result { "yes" } else { "no" });
    let mut status = String::new();
    about.read_to_string(&mut status).expect("readable");
    print!("{status}");
    say("write its own", fs::write(own.join("new"), "1").is_ok());
    say("by its other name", fs::read("/run/wasmill/new").is_ok_and(|bytes| bytes == b"1"));
    say("make folders", fs::create_dir_all(own.join("a/b")).is_ok());
    say("read certificates", !Path::new("/etc/ssl/certs").exists() || fs::read_dir("/etc/ssl/certs").is_ok());
    let listener = TcpListener::bind("127.0.0.1:0").expect("its own loopback");
    let at = listener.local_addr().expect("an address");
    say("reach itself", TcpStream::connect(at).is_ok());
    let again = Command::new("/proc/self/exe").arg("again").output();
    say("start itself", again.is_ok_and(|output| output.stdout == b"runs\n"));
    let grown = thread::spawn(|| Vec::<u8>::new().try_reserve_exact(100 << 20).is_ok());
    say("have memory and threads", grown.join().expect("it ends"));

    say("SEE a neighbour", fs::symlink_metadata(home.join("other")).is_ok());
    say("READ a neighbour", fs::read(home.join("other/secret")).is_ok());
    say("READ by a link", fs::read(own.join("link")).is_ok());
    say("READ the users", fs::read("/etc/passwd").is_ok() || fs::read("/etc/shadow").is_ok());
    say("READ other processes", fs::read("/proc/1/cmdline").is_ok() || fs::read_dir("/proc").is_ok());
    say("WRITE the system", fs::write("/usr/lib/wasmill-test", "1").is_ok());
    say("CHANGE the system", fs::set_permissions("/usr/lib", PermissionsExt::from_mode(0o755)).is_ok());
    say("WRITE the root", fs::create_dir("/new").is_ok());
    let port = port.to_str().and_then(|port| port.parse().ok()).expect("a number");
    say("REACH the machine", TcpStream::connect(("127.0.0.1", port)).is_ok());
    let outside = "192.0.2.1:80".parse().expect("an address");
    say("REACH the world", TcpStream::connect_timeout(&outside, Duration::from_secs(1)).is_ok());
    say("REACH a socket", UnixStream::connect(home.join("host.sock")).is_ok());
    say("RUN programs", Command::new("/usr/bin/id").stdout(Stdio::null()).status().is_ok());
    fs::copy("/proc/self/exe", own.join("copy")).ok();
    let _ = fs::set_permissions(own.join("copy"), PermissionsExt::from_mode(0o755));
    say("RUN its own", Command::new(own.join("copy")).arg("again").stdout(Stdio::null()).status().is_ok());
    say(
        "BE root again",
        Command::new("/proc/self/exe")
            .arg("inside")
            .output()
            .is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("CapEff:\t000001ff")),
    );
    let parent = Command::new("/proc/self/exe").arg("again").stdin(Stdio::null()).spawn().map(|mut child| child.kill());
    say("end its children", parent.is_ok_and(|killed| killed.is_ok()));
    let grown = Vec::<u8>::new().try_reserve_exact(600 << 20).is_ok();
    say("HAVE more memory", grown);
    let files: Vec<_> = (0..200).map_while(|_| File::open("/dev/null").ok()).collect();
    say("HAVE more files", files.len() > 100);
}

/// Runs it as this user does, and as another one.
fn outside() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    let users: &[Option<&str>] = if is_root { &[None, Some("65534:65534")] } else { &[None] };
    for user in users {
        let home = tempfile::tempdir().expect("a folder");
        for folder in ["own", "other", "stage"] {
            fs::create_dir(home.path().join(folder)).expect("a folder");
        }
        fs::write(home.path().join("other/secret"), "1").expect("written");
        std::os::unix::fs::symlink(home.path().join("other/secret"), home.path().join("own/link")).expect("a link");
        let _socket = UnixListener::bind(home.path().join("host.sock")).expect("a socket");
        if user.is_some() {
            std::os::unix::fs::chown(home.path().join("own"), Some(65534), Some(65534)).expect("it is ours");
        }
        let mut command = Command::new("/proc/self/exe");
        command.arg("inside").arg(home.path()).arg(port.to_string()).args(*user).env("RUST_BACKTRACE", "0");
        let output = command.output().expect("it runs");
        let text = String::from_utf8_lossy(&output.stdout);
        let said = format!("as {user:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
        if output.status.code() == Some(REFUSED) && std::env::var_os("WASMILL_REQUIRE_SERVERS").is_none() {
            println!("SKIPPED: {said}");
            continue;
        }
        assert!(output.status.success(), "{said}");
        let tried = text.lines().filter_map(|line| line.split_once(": ")).collect::<Vec<_>>();
        assert_eq!(tried.len(), 24, "{said}");
        for (what, how) in tried {
            let expected = if what.contains(|c: char| c.is_uppercase()) { "no" } else { "yes" };
            assert_eq!(how, expected, "{what}: {said}");
        }
        for line in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            assert!(text.contains(&format!("{line}:\t0000000000000000")), "{line}: {said}");
        }
        assert!(text.contains("NoNewPrivs:\t1"), "{said}");
        listener.set_nonblocking(true).expect("it is ours");
        assert!(listener.accept().is_err(), "somebody came");
        println!("confined as {}: ok", user.unwrap_or("this user"));
    }
}
