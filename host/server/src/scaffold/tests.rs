use super::*;
use crate::trial::Case;
use std::fs;

const LANGUAGES: [Language; 3] = [Language::Rust, Language::Python, Language::JavaScript];

fn plan(folder: &Path, language: Language, kind: Kind) -> Plan<'_> {
    Plan { folder, language, kind, sdk: None }
}

fn error(plan: &Plan<'_>) -> String {
    create(plan).expect_err("a bad plan").report()
}

/// A project in each language and of each kind → whole files with nothing left to fill in, a manifest that names it,
/// and cases that can be read and expect something.
#[test]
fn projects_are_whole() {
    let home = tempfile::tempdir().expect("a temporary folder");
    for language in LANGUAGES {
        for kind in Kind::ALL {
            let folder = home.path().join(format!("slow-{kind}-{}", language.title().to_lowercase()));
            let name = create(&plan(&folder, language, kind)).expect("a project");
            let read = |path: &str| fs::read_to_string(folder.join(path)).expect(path);
            let (manifest, ..) = language.templates(kind)[0];
            for path in [manifest, language.source(), "README.md", ".gitignore"] {
                assert!(!read(path).contains("{{"), "{path} of {name}");
            }
            assert!(read(manifest).contains(&name), "{name}");
            assert!(read("README.md").contains(&format!("[step.slow_{kind}_")), "{name}");
            for case in crate::trial::find(&folder.join("cases"), None).expect("cases") {
                let case = Case::open(&case).expect("a case");
                assert!(case.blocks.iter().any(|block| !block.expected.is_empty()), "{}", case.path.display());
                assert!(case.about.is_some());
            }
        }
    }
}

/// A Rust project outside a checkout → it brings the SDK along, and the contract where the SDK looks for it.
#[test]
fn the_sdk_comes_along() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let folder = home.path().join("slow");
    create(&plan(&folder, Language::Rust, Kind::Transform)).expect("a project");
    let manifest: toml::Table =
        fs::read_to_string(folder.join("Cargo.toml")).expect("a manifest").parse().expect("TOML");
    let sdk = folder.join(manifest["dependencies"]["wasmill"]["path"].as_str().expect("a path"));
    assert!(is_sdk(&sdk));
    assert!(sdk.join("derive/src/lib.rs").is_file());
    assert!(sdk.join("../../../wit/types.wit").is_file(), "`bindings.rs` of the SDK names this path");
    create(&plan(&home.path().join("quiet"), Language::Python, Kind::Transform)).expect("a project");
    assert!(!home.path().join("quiet/.wasmill").exists());
}

/// A Rust project inside a checkout, or with a named SDK → it points there, by a path that holds when both are moved.
#[test]
fn an_sdk_nearby_is_used() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let sdk = home.path().join("plugins/sdk/rust");
    fs::create_dir_all(&sdk).expect("a folder");
    fs::write(sdk.join("Cargo.toml"), "[package]\nname = \"wasmill\"\n").expect("a manifest");
    let manifest = |folder: &Path| fs::read_to_string(folder.join("Cargo.toml")).expect("a manifest");
    let inside = home.path().join("examples/shop/slow");
    create(&plan(&inside, Language::Rust, Kind::Process)).expect("a project");
    assert!(manifest(&inside).contains("wasmill = { path = \"../../../plugins/sdk/rust\" }"), "{}", manifest(&inside));
    assert!(!inside.join(".wasmill").exists());

    let elsewhere = tempfile::tempdir().expect("a temporary folder");
    let outside = elsewhere.path().join("slow");
    create(&Plan { sdk: Some(&sdk), ..plan(&outside, Language::Rust, Kind::Process) }).expect("a project");
    assert!(manifest(&outside).contains(&format!("path = \"{}\"", sdk.display())), "{}", manifest(&outside));
    assert_eq!(relative(Path::new("/a/b/c"), Path::new("/a/d")), Path::new("../../d"));
    assert_eq!(relative(Path::new("/a/../c"), Path::new("/a/d")), Path::new("/a/d"));
}

/// A plan that cannot be carried out → a kind word on what to do, and nothing written.
#[test]
fn bad_plans() {
    let home = tempfile::tempdir().expect("a temporary folder");
    for bad in ["Slow", "slow_pages", "-slow", "slow-", "7up", "slow pages", ".", ""] {
        let folder = home.path().join(bad);
        let message = error(&plan(&folder, Language::Python, Kind::Transform));
        assert!(message.contains("cannot name a plugin") && message.contains("slow-requests"), "{bad}: {message}");
    }
    assert!(error(&plan(Path::new("test"), Language::Rust, Kind::Process)).contains("`test` is taken"));
    fs::create_dir(home.path().join("there")).expect("a folder");
    let there = home.path().join("there");
    assert!(error(&plan(&there, Language::Rust, Kind::Process)).contains("is there already; choose another name"));
    let fresh = home.path().join("fresh");
    let foreign = Plan { sdk: Some(home.path()), ..plan(&fresh, Language::Rust, Kind::Process) };
    assert!(error(&foreign).contains("is not the Rust SDK; expected the folder plugins/sdk/rust"));
    let needless = Plan { sdk: Some(home.path()), ..plan(&fresh, Language::Python, Kind::Process) };
    assert!(error(&needless).contains("--sdk is for Rust"));
    assert!(!fresh.exists());
}
