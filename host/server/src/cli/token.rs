//! `wasmill token`: who may ask a host for what.

use super::Exit;
use super::stdout::print;
use crate::serve::Home;
use crate::serve::tokens::{Token, Tokens, Verb};
use crate::terminal::Terminal;
use std::fmt::Write;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::{Duration, SystemTime};
use wasmill_stream::Result;
use wasmill_stream::units::Period;

/// Make, list and revoke the tokens of a host.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
As long as HOME/tokens.toml is not there, whoever can reach the API may do anything. With it, every request needs a token:
`Authorization: Bearer TOKEN`, or WASMILL_TOKEN for the commands of wasmill. A running host follows the file at once.

A token may do what its verbs say, and nothing else:
  read     see how jobs are, their plugins, metrics, history and checkpoints; not what is in records
  rows     see records: samples, dead letters, and logs, where plugins may quote them
  operate  pause, resume, restart, roll back, end trials, keep savepoints: nothing that brings code or settings
  deploy   write and remove job files, apply them, swap plugins

Only the SHA-256 of a token is kept. It is 256 random bits, so there is nothing to guess.

Examples:
  wasmill token create . ci --verb deploy --verb read --tenant acme --expires 30d
  wasmill token list .
  wasmill token revoke . ci")]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make a token and print it, once
    Create {
        /// The folder of the host
        home: PathBuf,
        /// What it is called, here and in the audit log
        name: String,
        /// What it may do; several times for several
        #[arg(long = "verb", value_name = "VERB", value_enum, required = true)]
        verbs: Vec<Verb>,
        /// Only with the jobs of this tenant; without, with all jobs of the host
        #[arg(long, value_name = "TENANT")]
        tenant: Option<String>,
        /// When it ends, such as 12h or 365d, or `never`
        #[arg(long, value_name = "TIME", default_value = "90d")]
        expires: Lives,
    },
    /// List tokens: what they may, and until when
    List {
        /// The folder of the host
        home: PathBuf,
    },
    /// Have a token count no more, at once
    Revoke {
        /// The folder of the host
        home: PathBuf,
        /// Which
        name: String,
    },
}

/// How long a token lives; `None`: until it is revoked.
#[derive(Debug, Clone, Copy)]
struct Lives(Option<Duration>);

impl FromStr for Lives {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "never" => Ok(Self(None)),
            period => Ok(Self(Some(period.parse::<Period>()?.duration()))),
        }
    }
}

/// Does it.
pub fn run(arguments: &Arguments, terminal: &Terminal) -> Result<Exit> {
    match &arguments.command {
        Command::Create { home, name, verbs, tenant, expires: Lives(lives) } => {
            let (token, secret) = Token::new(verbs.iter().copied(), tenant.clone(), *lives)?;
            let ends = token.expires.as_ref().map_or("until it is revoked".to_owned(), |at| format!("until {at}"));
            let tenant = tenant.as_ref().map(|tenant| format!(" with jobs of {tenant}")).unwrap_or_default();
            let may = verbs_of(&token);
            Tokens::change(Home::open(home)?.root(), |tokens| tokens.add(name, token))?;
            print(format!("{}\n", secret.text()))?;
            terminal.note(&format!("{name} may {may}{tenant}, {ends}; nobody can show it again"));
        }
        Command::List { home } => print(table(&Tokens::read(&Tokens::path(Home::open(home)?.root()))?))?,
        Command::Revoke { home, name } => {
            Tokens::change(Home::open(home)?.root(), |tokens| tokens.revoke(name))?;
            terminal.note(&format!("{name} is revoked"));
        }
    }
    Ok(Exit::Done)
}

fn verbs_of(token: &Token) -> String {
    token.verbs.iter().map(|verb| verb.name()).collect::<Vec<_>>().join(", ")
}

fn table(tokens: &Option<Tokens>) -> String {
    let Some(tokens) = tokens else {
        return "no tokens: whoever can reach the API may do anything\n".to_owned();
    };
    let now = SystemTime::now();
    let mut text = format!("{:20}  {:8}  {:28}  {:20}  expires\n", "name", "id", "verbs", "tenant");
    for (name, token) in tokens.iter() {
        let tenant = token.tenant.as_deref().unwrap_or("(all)");
        let ended = if token.has_expired(now) { " (has expired)" } else { "" };
        let expires = token.expires.as_deref().unwrap_or("never");
        let _ = writeln!(text, "{name:20}  {:8}  {:28}  {tenant:20}  {expires}{ended}", token.id(), verbs_of(token));
    }
    text
}
