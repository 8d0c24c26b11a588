use super::*;
use crate::job::JobFile;
use crate::serve::Home;
use crate::serve::tenant::Settings;
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::AtomicUsize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The server that the tenant may reach.
const ALLOWED: &str = "search.example";

/// Ways to write an address that is this machine's, its network's or nobody's, and to hide one behind a name that is allowed.
const FORMS: [&str; 64] = [
    // This machine.
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "127.000.000.001",
    "127.0.0.1.",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "017700000001",
    "127.255.255.254",
    "0",
    "0.0.0.0",
    "[::]",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[0000:0000:0000:0000:0000:0000:0000:0001]",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "localhost.localdomain",
    // An address of version 4 in one of version 6.
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::ffff:0:127.0.0.1]",
    "[::127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b:1::127.0.0.1]",
    "[2002:7f00:1::]",
    "[2001:0:7f00:1::]",
    // Digits and dots that are others before a name is put into its one form.
    "①②⑦.⓪.⓪.①",
    "127。0。0。1",
    "%31%32%37.0.0.1",
    "127.0.0.1%00.search.example",
    // A name that is allowed beside one that is not.
    "search.example@127.0.0.1",
    "search.example:80@127.0.0.1",
    "127.0.0.1#search.example",
    "127.0.0.1?search.example",
    "127.0.0.1/search.example",
    "127.0.0.1\\search.example",
    "search.example.",
    "search.example.evil.example",
    "evil-search.example",
    "127.0.0.1.nip.example",
    // What clouds know of their machines.
    "169.254.169.254",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "[::ffff:169.254.169.254]",
    "[fd00:ec2::254]",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "metadata.google.internal",
    // Neighbours.
    "10.0.0.1",
    "172.16.0.1",
    "192.168.0.1",
    "100.64.0.1",
    "198.18.0.1",
    "[fc00::1]",
    "[fe80::1]",
    "[fe80::1%25lo]",
    "224.0.0.1",
    "255.255.255.255",
];

/// What a resolver answers, one after the other; the last one stays.
struct Names {
    answers: BTreeMap<&'static str, Vec<IpAddr>>,
    asked: AtomicUsize,
}

#[async_trait]
impl Resolve for Names {
    async fn resolve(&self, name: &str) -> std::io::Result<Vec<IpAddr>> {
        let nth = self.asked.fetch_add(1, Relaxed);
        let answers = self.answers.get(name).ok_or(std::io::ErrorKind::NotFound)?;
        Ok(answers.get(nth).or(answers.last()).copied().into_iter().collect())
    }
}

/// A listener that counts who comes.
async fn listen(at: &str) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(at).await.expect("it is free");
    let (at, count) = (listener.local_addr().expect("an address"), Arc::new(AtomicUsize::new(0)));
    let counts = count.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counts.fetch_add(1, Relaxed);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        }
    });
    (at, count)
}

struct Case {
    gate: Gate,
    names: Arc<Names>,
    _home: tempfile::TempDir,
}

impl Case {
    /// The way out of a tenant with this table, where names lead there.
    fn new(allow: &str, answers: &[(&'static str, &[&str])]) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(dir.path().join("tenants")).expect("a folder");
        let home = Home::open(dir.path()).expect("a home");
        let settings = Settings::read(&JobFile::new("acme.toml", format!("[allow]\n{allow}\n"))).expect("settings");
        let address = |text: &&str| text.parse().expect("an address");
        let answers = answers.iter().map(|(name, all)| (*name, all.iter().map(address).collect())).collect();
        let names = Arc::new(Names { answers, asked: AtomicUsize::new(0) });
        let tenant = Arc::new(Tenant::of_settings(&home, "acme", settings));
        let egress = Egress::new(tenant, names.clone()).expect("random bits");
        Self { gate: Gate::open(egress).expect("a port"), names, _home: dir }
    }

    /// The status of the answer to a request line.
    async fn ask(&self, line: &str, password: &str) -> u16 {
        let at = self.gate.way.address.strip_prefix("http://").expect("an address");
        let mut stream = TcpStream::connect(at).await.expect("it listens");
        let basic = base64_simd::STANDARD.encode_to_string(format!("job:{password}"));
        let head =
            format!("{line} HTTP/1.1\r\nhost: x\r\nproxy-authorization: Basic {basic}\r\nconnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.expect("sent");
        let mut answer = Vec::new();
        let mut part = [0; 1024];
        // A tunnel stays open.
        while !answer.windows(2).any(|end| end == b"\r\n") {
            match stream.read(&mut part).await {
                Ok(1..) => answer.extend_from_slice(&part),
                _ => break,
            }
        }
        let text = String::from_utf8_lossy(&answer);
        text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
    }

    async fn tunnel(&self, place: &str) -> u16 {
        self.ask(&format!("CONNECT {place}"), &self.gate.way.password).await
    }
}

/// Every form of an address that is not allowed, as a tunnel and as a request → refused; nobody came to this machine.
#[tokio::test]
async fn forms() {
    let (at, came) = listen("127.0.0.1:0").await;
    let port = at.port();
    let (_, came_6) = listen(&format!("[::1]:{port}")).await;
    let local: &[&str] = &["127.0.0.1"];
    let names = ["localhost.localdomain", "127.0.0.1.nip.example", "metadata.google.internal", "evil-search.example"];
    let case = Case::new(&format!("servers = [\"http://{ALLOWED}:{port}\"]"), &names.map(|name| (name, local)));
    for form in FORMS {
        let place = format!("{form}:{port}");
        for line in [format!("CONNECT {place}"), format!("GET http://{place}/"), format!("GET http://{form}/")] {
            let status = case.ask(&line, &case.gate.way.password).await;
            assert!(matches!(status, 400 | 403), "{line}: {status}");
        }
    }
    assert_eq!((came.load(Relaxed), came_6.load(Relaxed)), (0, 0));
    assert_eq!(case.names.asked.load(Relaxed), 0, "nobody was asked about names that are not allowed");
    assert!(case.gate.egress().counts().1 > 100);
}

/// A name that is allowed and leads to what is not public → refused, wherever it leads, and if it leads to several places if one
/// of them is such; the operator's networks and addresses → allowed.
#[tokio::test]
async fn names_lead_anywhere() {
    let (at, came) = listen("127.0.0.1:0").await;
    let port = at.port();
    for address in
        ["127.0.0.1", "::1", "::ffff:127.0.0.1", "169.254.169.254", "10.1.2.3", "fd00:ec2::254", "64:ff9b::7f00:1"]
    {
        let case = Case::new(&format!("servers = [\"http://{ALLOWED}:{port}\"]"), &[(ALLOWED, &[address])]);
        assert_eq!(case.tunnel(&format!("{ALLOWED}:{port}")).await, 403, "{address}");
        assert_eq!(case.tunnel(&format!("SEARCH.example:{port}")).await, 403, "{address}");
    }
    assert_eq!(came.load(Relaxed), 0);
    for (allow, place) in [
        (format!("servers = [\"http://{ALLOWED}:{port}\"]\nnetworks = [\"127.0.0.0/8\"]"), ALLOWED),
        (format!("servers = [\"http://127.0.0.1:{port}\"]"), "127.0.0.1"),
        (format!("servers = [\"http://127.0.0.1:{port}\"]"), "0x7f.1"),
        (format!("servers = [\"http://localhost:{port}\"]"), "localhost"),
        (format!("artifacts = [\"127.0.0.1:{port}/\"]"), "127.0.0.1"),
    ] {
        let case = Case::new(&allow, &[(ALLOWED, &["::ffff:127.0.0.1"])]);
        assert_eq!(case.tunnel(&format!("{place}:{port}")).await, 200, "{allow}");
        assert_eq!(case.tunnel(&format!("{place}:{}", port ^ 1)).await, 403, "another port: {allow}");
        assert_eq!(case.ask(&format!("CONNECT {place}:{port}"), "guessed").await, 407);
        assert_eq!(case.ask(&format!("GET http://{place}:{port}/"), &case.gate.way.password).await, 200);
    }
}

/// A name that leads somewhere else the second time → what was looked at is what is connected to, and each connection is looked at.
#[tokio::test]
async fn rebinding() {
    let (at, forbidden) = listen("127.0.0.1:0").await;
    let port = at.port();
    let (_, allowed) = listen(&format!("127.0.0.2:{port}")).await;
    let allow = format!("servers = [\"https://{ALLOWED}:{port}\"]\nnetworks = [\"127.0.0.2/32\"]");
    let case = Case::new(&allow, &[(ALLOWED, &["127.0.0.2", "127.0.0.1", "127.0.0.2"])]);
    let place = format!("{ALLOWED}:{port}");
    let mut statuses = Vec::new();
    for asked in 1..=3 {
        statuses.push(case.tunnel(&place).await);
        assert_eq!(case.names.asked.load(Relaxed), asked, "a name is looked up once for each connection");
    }
    assert_eq!(statuses, [200, 403, 200]);
    assert_eq!((allowed.load(Relaxed), forbidden.load(Relaxed)), (2, 0));
    assert_eq!(case.gate.egress().counts(), (2, 1));
}

/// The servers of AWS → those of what may be used, and no others; names that only look like them are none.
#[tokio::test]
async fn servers_of_aws() {
    let names = Names { answers: BTreeMap::new(), asked: AtomicUsize::new(0) };
    let rules = |allow: &str| {
        let file = JobFile::new("acme.toml", format!("[allow]\n{allow}\n"));
        Settings::read(&file).expect("settings").rules
    };
    let (streams, objects) = (rules("streams = [\"acme-*\"]"), rules("objects = [\"s3://acme.data/in/\"]"));
    let more = [
        (rules("tables = [\"acme-*\"]"), "dynamodb.eu-west-1.amazonaws.com"),
        (rules("tables = [\"acme-*\"]"), "123456789012.ddb.eu-west-1.amazonaws.com"),
        (rules("topics = [\"arn:aws:sns:eu-west-1:1:acme-*\"]"), "sns.eu-west-1.amazonaws.com"),
        (rules("namespaces = [\"acme\"]"), "monitoring.cn-north-1.amazonaws.com.cn"),
    ];
    for (rules, own) in &more {
        for host in more.iter().map(|(_, host)| *host).chain(["sts.eu-west-1.amazonaws.com"]) {
            let failed = Destination::parse(host, 443).expect("a host").addresses(rules, &names).await;
            let service = |host: &str| host.replace("123456789012.ddb", "dynamodb");
            let is_allowed = matches!(failed, Err(Failed::Absent(_)));
            assert_eq!(is_allowed, service(host) == service(own), "{own}: {host}");
        }
        let plain = Destination::parse(own, 80).expect("a host");
        assert!(matches!(plain.addresses(rules, &names).await, Err(Failed::Barred(_))));
    }
    for (host, of_streams, of_objects) in [
        ("kinesis.eu-west-1.amazonaws.com", true, false),
        ("123456789012.data-kinesis.eu-west-1.amazonaws.com", true, false),
        ("kinesis.cn-north-1.amazonaws.com.cn", true, false),
        ("s3.eu-west-1.amazonaws.com", false, true),
        ("acme.data.s3.eu-west-1.amazonaws.com", false, true),
        ("acme.data.s3.dualstack.eu-west-1.amazonaws.com", false, true),
        ("other.s3.eu-west-1.amazonaws.com", false, false),
        ("sts.eu-west-1.amazonaws.com", false, false),
        ("kinesis.eu-west-1.amazonaws.com.evil.example", false, false),
        ("kinesis.evil.example", false, false),
        ("x.kinesis.eu-west-1.amazonaws.com", false, false),
    ] {
        for (rules, is_allowed) in [(&streams, of_streams), (&objects, of_objects)] {
            let place = Destination::parse(host, 443).expect("a host");
            let failed = place.addresses(rules, &names).await.expect_err("it cannot be found");
            assert_eq!(matches!(failed, Failed::Absent(_)), is_allowed, "{failed:?}");
            let plain = Destination::parse(host, 80).expect("a host");
            assert!(matches!(plain.addresses(rules, &names).await, Err(Failed::Barred(_))));
        }
    }
}
