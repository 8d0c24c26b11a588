//! Whether bytes end where a WebAssembly file can end. Half a file tells that it is not all of it, as its last section
//! announces more than there is. Whether it is a good component is for the compiler to say.

/// The first bytes of every WebAssembly file.
const MAGIC: &[u8] = b"\0asm";
const HEADER: usize = 8;

/// Whether a file with these bytes may be complete. Something else than WebAssembly is complete, whatever it is.
pub fn is_whole(bytes: &[u8]) -> bool {
    let magic = &bytes[..bytes.len().min(MAGIC.len())];
    if !MAGIC.starts_with(magic) {
        return true;
    }
    let Some((_, mut sections)) = bytes.split_at_checked(HEADER) else { return false };
    while !sections.is_empty() {
        let Some(rest) = after_section(sections) else { return false };
        sections = rest;
    }
    true
}

/// What follows the first section. `None` if that is cut off.
fn after_section(bytes: &[u8]) -> Option<&[u8]> {
    let (_, mut rest) = bytes.split_first()?;
    let mut size = 0u64;
    // LEB128: seven bits a byte, five bytes at most.
    for at in 0..5 {
        let (&byte, after) = rest.split_first()?;
        rest = after;
        size |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return rest.get(usize::try_from(size).ok()?..);
        }
    }
    // No size at all: cut off it is not.
    Some(&[])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A component that is cut off anywhere → not whole, except between two sections.
    #[test]
    fn cuts_are_seen() {
        let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
        bytes.extend([0, 3, 1, 2, 3]);
        bytes.extend([9, 0x80, 0x01]);
        bytes.extend([7; 128]);
        let between = [8, 13, bytes.len()];
        for cut in 0..=bytes.len() {
            assert_eq!(is_whole(&bytes[..cut]), between.contains(&cut), "{cut} of {} bytes", bytes.len());
        }
    }

    /// Text, and sizes that are none → whole: more bytes would make them no better.
    #[test]
    fn what_is_no_component_is_whole() {
        assert!(is_whole(b"<html>"));
        assert!(is_whole(b"\0asm\x0d\0\x01\0\0\xff\xff\xff\xff\xff\xff"));
        assert!(!is_whole(b"\0asm\x0d\0\x01\0\0\xff\xff\xff\xff\x0f"));
    }
}
