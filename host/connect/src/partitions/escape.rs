//! Values in names of folders.

use crate::format::columns::Cell;
use std::fmt::Write;

/// What stands for no value, as in Hive.
const NONE: &str = "__HIVE_DEFAULT_PARTITION__";

/// Names of files may have 255 bytes, and a value is a part of one.
const MOST: usize = 200;

/// Appends a value: letters, digits and a few signs as they are, everything else as `%` with two digits. Readers of Hive
/// partitions turn it back. An error says why there is no name for it.
pub(super) fn append(value: Cell<'_>, name: &mut String) -> Result<(), String> {
    let value = match value {
        Cell::Json([b'{' | b'[', ..]) => return Err("is no plain value".to_owned()),
        Cell::Text(value) | Cell::Json(value) if !value.is_empty() => value,
        _ => {
            name.push_str(NONE);
            return Ok(());
        }
    };
    let start = name.len();
    for (at, byte) in value.iter().enumerate() {
        match byte {
            // At the beginning it would make names that readers do not see, or that lead upwards.
            b'.' | b'_' if at > 0 => name.push(char::from(*byte)),
            byte if byte.is_ascii_alphanumeric() || *byte == b'-' => name.push(char::from(*byte)),
            // Texts can always be written to.
            byte => drop(write!(name, "%{byte:02X}")),
        }
    }
    match name.len() - start {
        bytes if bytes > MOST => Err(format!("takes {bytes} bytes of a name, more than {MOST}")),
        _ => Ok(()),
    }
}
