//! `wasmill serve`: many jobs, side by side in one process.

use super::drive::runtime;
use super::{Exit, parse_setting};
use crate::serve::{self, Home, Listen, Settings};
use crate::shutdown::Shutdown;
use crate::terminal::Terminal;
use std::path::PathBuf;
use wasmill_stream::Result;

/// Run many jobs side by side, each kept running by itself, with an API.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
There is a job for each file HOME/jobs/NAME.toml. A file that comes starts one, a file that goes stops it with a checkpoint,
one that changes is applied to the running job, as are plugins that change. While there is a file NAME.paused the job is paused.

A job that fails is started again, after a second at first and five minutes at most; the others do not notice. One whose file or
plugins are wrong, or that another host runs, waits until its file changes or somebody restarts it.

`wasmill swap`, `rollback`, `apply`, `history`, `explain` and `checkpoint` work on these job files as on any other, and with --host
over the API, as does `wasmill jobs`.

Ctrl-C or SIGTERM stops every job with a checkpoint; a second one ends at once.

API, on http://127.0.0.1:9180 if nothing else is said:
  GET  /api/v1/jobs                                 how all jobs are: state, rates, watermarks, checkpoints
  GET  /api/v1/jobs/NAME
  PUT  /api/v1/jobs/NAME                            write its job file; DELETE stops it and removes the file
  POST /api/v1/jobs/NAME/pause, resume, restart
  GET  /api/v1/jobs/NAME/history
  POST /api/v1/jobs/NAME/steps/STEP/swap, settle, rollback
  GET  /api/v1/jobs/NAME/steps/STEP/explain         which windows are open, and which split holds them
  GET  /api/v1/jobs/NAME/steps/STEP/sample          rows that leave it from now on
  GET  /api/v1/jobs/NAME/checkpoints, dead-letters  POST /api/v1/jobs/NAME/savepoints keeps the newest checkpoint
  GET  /api/v1/tenants                              what each may take, and takes
  GET  /api/v1/openapi.json                         all of it, for programs
  GET  /metrics, /healthz, /readyz

Who can reach the API may do anything, as long as there are no tokens (`wasmill token`); as soon as there are, every request
needs one, but /healthz and /readyz. Any address that other machines can reach needs TLS and tokens:
  HOME/host.toml    listen = \"0.0.0.0:9180\"    # or \"unix:api.sock\", which only its user can reach
                    names = [\"wasmill.example.org\"]    # the hosts that requests may name; without, any but on loopback
                    [tls]
                    certificate = \"tls/certificate.pem\"    # read again when it changes, as is the key
                    key = \"tls/key.pem\"
                    [api]
                    connections = 256
                    requests_per_second = 500    # for each token, or each machine without one
                    [tenants]
                    class = \"process\"    # where jobs of tenants run whose files do not say; without, \"shared\": in the host
                    [tenants]
                    class = \"process\"    # of tenants whose files do not say: each in a process of its own
                    [otlp]
                    endpoint = \"http://127.0.0.1:4318\"    # metrics are pushed there as well, every 10 s
  HOME/audit.jsonl  a line for each change asked for, each look at records, and each refusal

Examples:
  wasmill serve .
  wasmill serve /var/lib/wasmill --set out=/data --listen 127.0.0.1:0
  curl -X POST localhost:9180/api/v1/jobs/taxi/steps/averages/swap -H 'content-type: application/json' \\
       -d '{\"plugin\": \"averages-2.wasm\", \"why\": \"half-hour windows\"}'")]
pub struct Arguments {
    /// The folder of the host, with the folder `jobs` of its job files
    home: PathBuf,
    /// Where the API listens: an address, or unix:PATH; port 0 takes any that is free. Without it, as HOME/host.toml says, or
    /// else 127.0.0.1:9180
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<Listen>,
    /// Value of `${NAME}` in job files. The environment is not looked at: jobs may be other people's
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = parse_setting)]
    set: Vec<(String, String)>,
}

/// Does it.
pub fn run(arguments: &Arguments, terminal: &Terminal) -> Result<Exit> {
    let Arguments { home, listen, set } = arguments;
    let settings = Settings { home: Home::open(home)?, listen: listen.clone(), parameters: set.clone() };
    let runtime = runtime()?;
    let ended = runtime.block_on(async {
        let mut shutdown = Shutdown::of_process()?;
        serve::serve(settings, &mut shutdown, terminal).await
    });
    // After a second Ctrl-C there may be threads that never end by themselves.
    runtime.shutdown_background();
    ended.map(Exit::from)
}
