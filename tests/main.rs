//! End-to-end tests: whole jobs with real plugins, in this process or as the real program. One file per theme; what one
//! part does by itself is tested beside its code.

mod harness;
mod oracle;
mod pipeline;

/// User records that a producer has packed into records of Kinesis.
mod aggregates;
/// Readings that become items, messages, requests and metrics.
mod alarms;
/// Who may ask a host for what, and by which ways.
mod api;
/// Writing a plugin, and repairing one.
mod author;
/// Bad records, components and endpoints.
mod bad_input;
/// One plugin in several languages.
mod conformance;
/// Many small jobs in one process.
mod crowd;
/// Checkpoints that were changed, cut or removed.
mod damage;
/// Disks that are full or fail.
mod disk;
/// Hostile plugins and dead letters.
mod faults;
/// The component that a job file names, on probation and refused.
mod filed;
/// Addresses that tenants should not write.
mod forgeries;
/// What a version that takes over may import.
mod grants;
/// What has become of plugins.
mod history;
/// The example that is edited while it runs.
mod hot_swap;
/// Job files that change while the job runs.
mod job_changes;
/// Hostile aggregators and processes.
mod keyed_faults;
/// Keys that end, and clocks that are wrong.
mod keys;
/// SIGKILL at random moments.
mod kills;
/// The example from Kinesis.
mod kinesis;
/// Parquet, read by others.
mod lake;
/// A host that is started, told, stopped and started again, and the files with which that is done.
mod lifecycle;
/// What hosts and jobs say.
mod logs;
/// Writes that are done, and whose answers are lost.
mod lost_answers;
/// What a host says of its jobs in numbers.
mod metrics;
/// States that change their layout while the job runs.
mod migrations;
/// What one tenant does to the jobs of another.
mod neighbours;
/// Checkpoints of earlier versions.
mod old_checkpoints;
/// Results in OpenSearch.
mod opensearch;
mod outage;
/// Keyed state, timers, the order of event time.
mod process;
/// Tenants with a process to themselves.
mod processes;
/// The program on the command line.
mod program;
/// A client of Kinesis that others wrote.
mod python;
/// Recorded events into Kinesis.
mod replays;
/// Shards that are split and merged while the program reads, and is killed.
mod reshards;
/// What instances and tenants leave behind for others: nothing.
mod residue;
/// A server that dies, and comes back, while a job writes to it.
mod restarts;
/// Jobs that go back to before a version came.
mod rewinds;
/// Versions that fail, put into a running job.
mod rollbacks;
/// An archive and results in S3.
mod s3;
/// The commands about checkpoints.
mod savepoints;
mod serve;
/// Whose components a job takes.
mod signatures;
/// Shards to which nothing comes.
mod silence;
/// Swaps by the hundred.
mod soak;
/// Where components come from.
mod sources;
/// SIGTERM under load.
mod stops;
/// SIGKILL at one system call after the other.
mod sweep;
/// Two hosts on one job.
mod takeover;
/// The example from files and from the generator.
mod taxi;
/// Strangers who share a host.
mod tenants;
/// Hostile components from WebAssembly text.
mod text_guests;
/// `wasmill top`.
mod top;
/// Versions that close the windows which they have opened.
mod transitions;
/// Shadows and canaries.
mod trials;
/// A component that imports WASI.
mod wasi;
/// Files and folders that change while `wasmill run --watch` follows them.
mod watch;
/// Markers, silent splits.
mod watermark;
/// Sliding and session windows, late rows.
mod windows;
