use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use tokio::runtime::Builder;

/// What a writer does, or how it dies.
#[derive(Debug, Clone)]
enum Act {
    Put(&'static str, Vec<u8>),
    Create(&'static str, Vec<u8>),
    Delete(&'static str),
    /// Dies after so many bytes of a draft.
    DieWriting(Vec<u8>),
    /// Dies when the draft has got its name, before its other name is gone.
    DieAfterLinking(&'static str, Vec<u8>),
    /// Another process opens the store.
    Open,
}

fn act() -> impl Strategy<Value = Act> {
    let name = || prop::sample::select(vec!["a", "b", "a-b", "s/a", "s/t/a"]);
    let bytes = || prop::collection::vec(any::<u8>(), 0..4);
    prop_oneof![
        (name(), bytes()).prop_map(|(name, bytes)| Act::Put(name, bytes)),
        (name(), bytes()).prop_map(|(name, bytes)| Act::Create(name, bytes)),
        name().prop_map(Act::Delete),
        bytes().prop_map(Act::DieWriting),
        (name(), bytes()).prop_map(|(name, bytes)| Act::DieAfterLinking(name, bytes)),
        Just(Act::Open),
    ]
}

fn leftovers(root: &Path) -> usize {
    let entries = fs::read_dir(root).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    entries.filter(|name| is_unfinished(name)).count()
}

/// A draft whose writer died: nobody holds its lock.
fn abandon(folder: &Folder, bytes: &[u8]) -> PathBuf {
    folder.draft(bytes).expect("a draft").path
}

proptest! {
    // Every act waits for the disk several times.
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever writers do and wherever they die, readers see whole objects, and the next to open sees no left-overs.
    #[test]
    fn crashes_leave_whole_objects(acts in prop::collection::vec(act(), 0..24)) {
        let root = tempfile::tempdir().expect("a folder");
        let runtime = Builder::new_current_thread().build().expect("a runtime");
        let open = || FolderStore::open(root.path().to_path_buf()).expect("it opens");
        let mut store = open();
        let mut model = BTreeMap::<&str, Vec<u8>>::new();
        for act in acts {
            match act {
                Act::Put(name, bytes) => {
                    runtime.block_on(store.put(name, bytes.clone().into())).expect("a put");
                    model.insert(name, bytes);
                }
                Act::Create(name, bytes) => {
                    let is_new = model.get(name).is_none_or(|there| *there == bytes);
                    let created = runtime.block_on(store.create(name, bytes.clone().into())).expect("an answer");
                    prop_assert_eq!(created, if is_new { Created::New } else { Created::Taken });
                    model.entry(name).or_insert(bytes);
                }
                Act::Delete(name) => {
                    runtime.block_on(store.delete(name)).expect("a removal");
                    model.remove(name);
                }
                Act::DieWriting(bytes) => drop(abandon(&store.folder, &bytes)),
                Act::DieAfterLinking(name, bytes) => {
                    let path = root.path().join(name);
                    create_folder(parent(&path)).expect("a folder");
                    let draft = abandon(&store.folder, &bytes);
                    if fs::hard_link(draft, path).is_ok() {
                        model.insert(name, bytes);
                    }
                }
                Act::Open => {
                    store = open();
                    prop_assert_eq!(leftovers(root.path()), 0);
                }
            }
            let names = runtime.block_on(store.list("")).expect("a list");
            prop_assert_eq!(&names, &model.keys().map(ToString::to_string).collect::<Vec<_>>());
            for (name, bytes) in &model {
                let there = runtime.block_on(store.get(name)).expect("an answer");
                prop_assert_eq!(there.as_deref(), Some(&bytes[..]));
            }
        }
    }
}

/// A file that someone is writing right now is no left-over.
#[test]
fn living_writers_are_left_alone() {
    let root = tempfile::tempdir().expect("a folder");
    let store = FolderStore::open(root.path().to_path_buf()).expect("it opens");
    let draft = store.folder.draft(b"x").expect("a draft");
    FolderStore::open(root.path().to_path_buf()).expect("it opens again");
    assert_eq!(leftovers(root.path()), 1);
    drop(draft);
    FolderStore::open(root.path().to_path_buf()).expect("it opens again");
    assert_eq!(leftovers(root.path()), 0);
}

/// A draft that somebody removed is an error that another try cures, and nothing gets a name.
#[test]
fn a_vanished_draft() {
    let root = tempfile::tempdir().expect("a folder");
    let store = FolderStore::open(root.path().to_path_buf()).expect("it opens");
    let draft = store.folder.draft(b"x").expect("a draft");
    fs::remove_file(&draft.path).expect("removed");
    let error = draft.discarded(failed("write", Path::new("x"), io::ErrorKind::NotFound.into()));
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}
