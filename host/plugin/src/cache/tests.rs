use super::*;
use std::time::Duration;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

fn open(folder: &Path) -> Cache {
    Cache::open(&folder.join("compiled"), Cache::SIZE).expect("a cache")
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").mode() & 0o777
}

/// What is stored is found again, also after the cache was opened anew, and nobody else can read it.
#[test]
fn stored_code_is_found() {
    let folder = folder();
    let cache = open(folder.path());
    assert_eq!(cache.load("a"), None);
    cache.store("a", b"machine code");
    assert_eq!(cache.load("a").as_deref(), Some(&b"machine code"[..]));
    assert_eq!(open(folder.path()).load("a").as_deref(), Some(&b"machine code"[..]));
    assert_eq!(mode(&folder.path().join("compiled")), 0o700);
    assert_eq!(mode(&folder.path().join("compiled/secret")), 0o600);
}

/// A file with any byte changed, cut off, under another name, or from another cache is not loaded, and goes away.
#[test]
fn damaged_and_foreign_files_are_refused() {
    let folder = folder();
    let cache = open(folder.path());
    cache.store("a", b"machine code");
    let whole = fs::read(cache.path("a")).expect("the file");
    let spoil = |name: &str, bytes: &[u8]| {
        fs::write(cache.path(name), bytes).expect("written");
        assert_eq!(cache.load(name), None);
        assert!(!cache.path(name).exists());
    };
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        spoil("a", &bytes);
        spoil("a", &whole[..at]);
    }
    spoil("b", &whole);
    let other = self::folder();
    let other = open(other.path());
    other.store("a", b"machine code");
    spoil("a", &fs::read(other.path("a")).expect("the other file"));
    fs::write(cache.path("a"), &whole).expect("written");
    assert!(cache.load("a").is_some());
}

/// A secret that others could have read or that is no secret is replaced, and what it vouched for is gone.
#[test]
fn an_open_secret_is_replaced() {
    let folder = folder();
    let secret = folder.path().join("compiled/secret");
    for spoil in [
        |secret: &Path| fs::set_permissions(secret, Permissions::from_mode(0o644)),
        |secret: &Path| fs::write(secret, b"short"),
        |secret: &Path| {
            fs::rename(secret, secret.with_extension("moved"))?;
            std::os::unix::fs::symlink(secret.with_extension("moved"), secret)
        },
    ] {
        open(folder.path()).store("a", b"machine code");
        assert!(open(folder.path()).load("a").is_some());
        spoil(&secret).expect("spoilt");
        assert_eq!(open(folder.path()).load("a"), None);
        assert_eq!(mode(&secret), 0o600);
    }
}

/// A folder that others may write to becomes private; one that is a link is refused.
#[test]
fn the_folder_is_ours() {
    let folder = folder();
    let path = folder.path().join("compiled");
    fs::create_dir(&path).expect("a folder");
    fs::set_permissions(&path, Permissions::from_mode(0o777)).expect("open to all");
    open(folder.path());
    assert_eq!(mode(&path), 0o700);
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&path, &link).expect("a link");
    assert!(Cache::open(&link, Cache::SIZE).is_err());
}

/// Above its size the cache forgets what was used least recently, and nothing that is not its own.
#[test]
fn the_least_recently_used_goes() {
    let folder = folder();
    let path = folder.path().join("compiled");
    let file_size = (MAGIC.len() + MAC_SIZE + 100) as u64;
    let cache = Cache::open(&path, ByteCount::new(2 * file_size)).expect("a cache");
    fs::write(path.join("notes"), [0; 1_000]).expect("another file");
    cache.store("a", &[1; 100]);
    cache.store("b", &[2; 100]);
    for (name, age) in [("a", 60), ("b", 30)] {
        let file = File::open(cache.path(name)).expect("stored");
        file.set_modified(SystemTime::now() - Duration::from_secs(age)).expect("aged");
    }
    assert!(cache.load("a").is_some());
    cache.store("c", &[3; 100]);
    assert_eq!(["a", "b", "c"].map(|name| cache.load(name).is_some()), [true, false, true]);
    assert!(path.join("notes").exists());
}
