//! What the process of a tenant logs, in the log of the host. It is the tenant's, whatever it says.

use crate::log::Record;
use crate::terminal::Terminal;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::ChildStderr;

/// What is longer is cut, bytes.
const LONGEST: u64 = 64 << 10;

/// Repeats what it says, until it ends.
pub async fn repeat(from: Option<ChildStderr>, tenant: String, terminal: Terminal) {
    let Some(from) = from else { return };
    let (mut lines, mut line) = (BufReader::new(from), Vec::new());
    loop {
        line.clear();
        match (&mut lines).take(LONGEST).read_until(b'\n', &mut line).await {
            Ok(1..) => {}
            Ok(0) | Err(_) => return,
        }
        let text = String::from_utf8_lossy(&line);
        // The last words of a process that crashes are none of the log.
        let mut record = Record::read(&text).unwrap_or_else(|| Record::note(text.trim_end()));
        record.set("tenant", Value::from(tenant.as_str()));
        terminal.write(&record);
    }
}
