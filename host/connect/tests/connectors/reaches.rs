//! What sinks ask for before they reach it.

use std::sync::{Arc, Mutex};
use toml::de::DeTable;
use wasmill_connect::SINKS;
use wasmill_stream::access::{Access, Barred, Reach};
use wasmill_stream::config::{Parameters, Problems, Section};

/// Allows nothing, and notes what it was asked for.
#[derive(Debug, Clone, Default)]
struct Nothing {
    asked: Arc<Mutex<Vec<String>>>,
}

impl Access for Nothing {
    fn allows(&self, reach: Reach<'_>) -> Result<(), Barred> {
        self.asked.lock().expect("no test panics in here").push(format!("{reach:?}"));
        Err(Barred { message: format!("no {reach:?}"), hint: String::new() })
    }
}

impl Parameters for Nothing {
    fn get(&self, _name: &str) -> Option<String> {
        Some("hunter2".to_owned())
    }

    fn access(&self) -> &dyn Access {
        self
    }
}

/// Settings that lead outside → each place is asked for by name, and a job that may not go there does not start.
#[test]
fn sinks_ask_first() {
    let own = "access_key_id = \"${a}\"\nsecret_access_key = \"${b}\"\nendpoint = \"http://10.0.0.1:8000\"\n";
    let rights = "region = \"eu-west-1\"\n";
    for (kind, settings, expected) in [
        ("dynamodb", format!("table = \"t-1\"\n{own}"), &["Table(\"t-1\")", "Server(\"http://10.0.0.1:8000\")"][..]),
        ("dynamodb", format!("table = \"t-1\"\n{rights}"), &["Table(\"t-1\")", "MachineRights"]),
        (
            "sns",
            format!("topic = \"arn:aws:sns:eu-west-1:1:a\"\n{own}"),
            &["Topic(\"arn:aws:sns:eu-west-1:1:a\")", "Server(\"http://10.0.0.1:8000\")"],
        ),
        (
            "sns",
            format!("topic = \"arn:aws:sns:eu-west-1:1:a\"\n{rights}"),
            &["Topic(\"arn:aws:sns:eu-west-1:1:a\")", "MachineRights"],
        ),
        (
            "cloudwatch",
            format!("namespace = \"n\"\nmetric = \"m\"\nvalue = \"/v\"\n{own}"),
            &["Namespace(\"n\")", "Server(\"http://10.0.0.1:8000\")"],
        ),
        (
            "cloudwatch",
            format!("namespace = \"n\"\nmetric = \"m\"\nvalue = \"/v\"\n{rights}"),
            &["Namespace(\"n\")", "MachineRights"],
        ),
        ("http", "url = \"https://Hooks.example:443/in?x=1\"".to_owned(), &["Server(\"https://hooks.example\")"]),
    ] {
        let nothing = Nothing::default();
        let table = DeTable::parse(&settings).expect("valid TOML");
        let place = table.span();
        let mut section = Section::new("sink out", place, table.into_inner(), &nothing);
        let mut problems = Problems::default();
        let sink = SINKS.iter().find(|sink| sink.name == kind).expect("a listed kind of sink");
        assert!((sink.check)("out", &mut section, &mut problems).is_none(), "{kind}: it may go nowhere");
        section.finish(&mut problems);
        let asked = nothing.asked.lock().expect("no test panics in here").clone();
        for reach in expected {
            assert!(asked.iter().any(|asked| asked == reach), "{kind}: {reach} is not among {asked:?}");
        }
        assert_eq!(problems.into_sorted().len(), expected.len(), "{kind}");
    }
}
