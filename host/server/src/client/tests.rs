use super::*;

/// What names a host, and what does not.
#[test]
fn places() {
    let url = |text: &str| Ok(Place::Url(text.to_owned()));
    assert_eq!("https://a.example:9180/".parse(), url("https://a.example:9180"));
    assert_eq!("http://[::1]:9180".parse(), url("http://[::1]:9180"));
    assert_eq!("unix:run/api.sock".parse(), Ok(Place::Socket("run/api.sock".into())));
    for wrong in ["", "unix:", "localhost:9180", "ftp://a", "http://a/b", "http://a:b@c", "http://a?b", "a.toml"] {
        assert!(wrong.parse::<Place>().is_err(), "{wrong}");
    }
}

/// A token, and a host that is reached in the clear → refused, but on this machine.
#[test]
fn tokens_are_not_sent_in_the_clear() {
    let client = |url: &str, token: Option<&str>| {
        let credentials = credentials_of(token.map(str::to_owned), None);
        Client::new(url.parse().expect("a URL"), credentials).map(drop)
    };
    for url in ["https://a.example", "http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1", "unix:a"] {
        client(url, Some("t")).expect(url);
    }
    let error = client("http://a.example", Some("t")).expect_err("in the clear").to_string();
    assert!(error.contains("where others can listen in") && !error.contains("t\""), "{error}");
    client("http://a.example", None).expect("nothing to lose");
}

/// Names with anything in them → one part of a path. Shares of key groups → the same after the way there.
#[test]
fn what_is_sent() {
    assert_eq!(job_path("acme:taxi"), "/api/v1/jobs/acme:taxi");
    assert_eq!(segment("../a?b#c%ä"), "..%2Fa%3Fb%23c%25%C3%A4");
    for groups in [1, 102, 333, 512, 1_023] {
        let fields = entry_fields(&Entry::Canary(groups));
        let share = fields[0].1.as_str().expect("a text");
        assert_eq!(crate::control::key_groups(share), Ok(groups), "{share}");
    }
}
