use super::*;

/// What can be written, and whether others can reach it.
#[test]
fn where_to_listen() {
    for (text, is_private) in [
        ("127.0.0.1:9180", true),
        ("127.8.0.1:1", true),
        ("[::1]:9180", true),
        ("unix:api.sock", true),
        ("0.0.0.0:9180", false),
        ("[::]:9180", false),
        ("10.0.0.1:9180", false),
        // It would be reached as 127.0.0.1, and by no other machine; nobody means it.
        ("[::ffff:127.0.0.1]:9180", false),
    ] {
        let listen: Listen = text.parse().expect(text);
        assert_eq!((listen.is_private(), listen.to_string()), (is_private, text.to_owned()));
    }
    for wrong in ["", "unix:", "localhost:9180", "9180", "127.0.0.1"] {
        wrong.parse::<Listen>().expect_err(wrong);
    }
}

/// A socket beside one that listens, one that was left over, and a file → only the left-over one is replaced; it is its
/// user's alone, and gone with its listener.
#[tokio::test]
async fn sockets() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("api.sock");
    let at = Listen::Unix(path.clone());
    drop(std::os::unix::net::UnixListener::bind(&path).expect("it listens"));
    let listener = Listener::bind(&at).await.expect("nobody is there");
    let mode = std::fs::metadata(&path).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let error = Listener::bind(&at).await.err().expect("somebody is there").report();
    assert!(error.contains("another process listens on unix:"), "{error}");
    let client = UnixStream::connect(&path).await.expect("it listens");
    let (_, peer) = listener.accept().await;
    let own = client.peer_cred().expect("credentials").uid();
    assert_eq!(peer, Peer::Unix(Some(own)));
    drop(listener);
    assert!(!path.exists());
    std::fs::write(&path, "mine").expect("written");
    assert!(Listener::bind(&at).await.is_err());
    assert_eq!(std::fs::read_to_string(&path).expect("it is there"), "mine");
}
