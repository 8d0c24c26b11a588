//! What a build of a hostile plugin does whatever its settings say. A test that replaces a plugin in a running job cannot give
//! the new one other settings; it writes them over the stamp in the component instead, and so makes another version of it.

use std::hint::black_box;
use wasmill::Settings;

/// What the stamp begins with; settings as JSON follow, then spaces.
const MARK: &[u8] = b"hostile-stamp:";

static STAMP: [u8; 96] = blank();

const fn blank() -> [u8; 96] {
    let mut stamp = [b' '; 96];
    let mut at = 0;
    while at < MARK.len() {
        stamp[at] = MARK[at];
        at += 1;
    }
    stamp
}

/// The settings of the stamp; `None` if nobody has written any.
pub fn stamped<T: Settings>() -> Option<T> {
    // Without the black box the compiler would take the stamp as it is here for granted.
    read(black_box(&STAMP))
}

fn read<T: Settings>(stamp: &[u8]) -> Option<T> {
    let settings = std::str::from_utf8(&stamp[MARK.len()..]).ok()?.trim_end();
    match settings.is_empty() {
        true => None,
        false => wasmill::settings::parse(settings).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Deed;

    #[derive(Settings)]
    struct Doing {
        r#do: Deed,
    }

    /// As it is built a stamp chooses nothing; what is written over it counts.
    #[test]
    fn stamps() {
        assert!(stamped::<Doing>().is_none());
        let mut stamp = blank();
        let settings = br#"{"do":"trap"}"#;
        stamp[MARK.len()..][..settings.len()].copy_from_slice(settings);
        assert_eq!(read::<Doing>(&stamp).map(|doing| doing.r#do), Some(Deed::Trap));
    }
}
