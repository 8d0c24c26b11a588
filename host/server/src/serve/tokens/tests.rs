use super::*;

fn of(verbs: &[Verb], tenant: Option<&str>, lives: Option<u64>) -> (Token, Secret) {
    Token::new(verbs.iter().copied(), tenant.map(str::to_owned), lives.map(Duration::from_secs)).expect("random bits")
}

/// Tokens that are written → found by their text alone and by nothing that is close to it; the text is nowhere in the file.
#[test]
fn found_by_their_text() {
    let home = tempfile::tempdir().expect("a folder");
    let path = Tokens::path(home.path());
    assert_eq!(Tokens::read(&path).expect("it can be looked for"), None);
    let (first, secret) = of(&[Verb::Read, Verb::Deploy], Some("acme"), Some(60));
    let (second, other) = of(&[Verb::Operate], None, None);
    for (name, token) in [("ci", &first), ("ops", &second)] {
        Tokens::change(home.path(), |tokens| tokens.add(name, token.clone())).expect("written");
    }
    let tokens = Tokens::read(&path).expect("read").expect("there are some");
    assert_eq!(tokens.find(secret.text()), Some(("ci", &first)));
    assert_eq!(tokens.find(other.text()), Some(("ops", &second)));
    let text = secret.text();
    for wrong in ["", "wasmill_", &text[..text.len() - 1], &format!("{text}x"), &text.to_lowercase(), &first.sha256] {
        assert_eq!(tokens.find(wrong), None, "{wrong}");
    }
    let file = fs::read_to_string(&path).expect("it is there");
    assert!(!file.contains(&text[PREFIX.len()..]) && !format!("{secret:?}").contains(&text[PREFIX.len()..]), "{file}");
    assert_ne!(secret.text(), other.text());
    assert_eq!(fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o600);

    Tokens::change(home.path(), |tokens| tokens.add("ci", second.clone())).expect_err("there is one");
    Tokens::change(home.path(), |tokens| tokens.add("a b", second.clone())).expect_err("no name");
    Tokens::change(home.path(), |tokens| tokens.revoke("ci")).expect("it is there");
    Tokens::change(home.path(), |tokens| tokens.revoke("ci")).expect_err("it is gone");
    let tokens = Tokens::read(&path).expect("read").expect("the file stays");
    assert_eq!((tokens.find(secret.text()), tokens.iter().count()), (None, 1));
}

/// Tokens that end, and one that does not → ended from that moment on. An end that cannot be read → the file is refused.
#[test]
fn they_end() {
    let now = SystemTime::now();
    let (token, _) = of(&[Verb::Read], None, Some(3_600));
    assert!(!token.has_expired(now));
    assert!(token.has_expired(now + Duration::from_secs(3_601)));
    assert!(!of(&[Verb::Read], None, None).0.has_expired(now + Duration::from_secs(1 << 40)));
    let odd = Token { expires: Some("soon".to_owned()), ..token };
    assert!(odd.has_expired(now) && odd.problem().is_some());
}

/// Files that others may read, that are no TOML, or say what is not known → refused, with what is wrong and where.
#[test]
fn files_that_are_refused() {
    let home = tempfile::tempdir().expect("a folder");
    let path = Tokens::path(home.path());
    Tokens::change(home.path(), |tokens| tokens.add("a", of(&[Verb::Read], None, None).0)).expect("written");
    let text = fs::read_to_string(&path).expect("it is there");
    for (from, to, words) in [
        ("sha256 = \"", "sha256 = \"x", "token a: `sha256` is not a SHA-256"),
        ("\"read\"", "\"write\"", "unknown variant `write`"),
        ("created", "expires = \"soon\"\ncreated", "token a: `expires`"),
        ("created", "tenant = \"..\"\ncreated", "token a: `tenant`"),
        ("created", "admin = true\ncreated", "unknown field `admin`"),
    ] {
        fs::write(&path, text.replacen(from, to, 1)).expect("written");
        let error = Tokens::read(&path).expect_err(to).to_string();
        assert!(error.contains(words) && error.contains("tokens.toml"), "{error}");
    }
    fs::write(&path, &text).expect("written");
    for mode in [0o640, 0o604, 0o620] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("it is ours");
        let error = Tokens::read(&path).expect_err("open to others").report();
        assert!(error.contains("open to other users") && error.contains("chmod 600"), "{error}");
    }
}
