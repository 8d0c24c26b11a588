//! Other builds of a component, made from its bytes: tests that replace plugins need many, and a compiler takes its time.

/// What stands before the settings in a hostile plugin, see `plugins/hostile/README.md`.
const STAMP: &[u8] = b"hostile-stamp:";
/// How long the stamp is, with that.
const STAMPED: usize = 96;

/// The same logic in other bytes: with a custom section at the end, which holds a number.
pub fn another(component: &[u8], number: usize) -> Vec<u8> {
    let name = b"build";
    let content = [&[name.len() as u8], name.as_slice(), number.to_string().as_bytes()].concat();
    assert!(content.len() < 128, "its length is one byte");
    [component, &[0, content.len() as u8], &content].concat()
}

/// With another text of the same length in each place.
pub fn patched(component: &[u8], old: &str, new: &str) -> Vec<u8> {
    let (old, new) = (old.as_bytes(), new.as_bytes());
    assert_eq!(old.len(), new.len(), "other bytes must stay in their places");
    let places: Vec<usize> =
        component.windows(old.len()).enumerate().filter(|(_, bytes)| *bytes == old).map(|(at, _)| at).collect();
    assert!(!places.is_empty(), "the component has this text");
    let mut bytes = component.to_vec();
    places.into_iter().for_each(|at| bytes[at..at + new.len()].copy_from_slice(new));
    bytes
}

/// A hostile plugin that does this, whatever the settings of its step say.
pub fn stamped(component: &[u8], settings: &str) -> Vec<u8> {
    let room = STAMPED - STAMP.len();
    let stamp = |settings: &str| format!("{}{settings:room$}", String::from_utf8_lossy(STAMP));
    assert!(settings.len() <= room, "{settings}");
    patched(component, &stamp(""), &stamp(settings))
}
