//! The hostile plugins in WebAssembly text: each is still a component of the contract.

use std::path::Path;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// Every file makes a component that fits the world `transform`; what they do is for the tests of the host.
#[test]
fn modules_fit_the_contract() {
    let hostile = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let files = std::fs::read_dir(hostile.join("wat")).expect("the folder is there");
    let files: Vec<_> = files.map(|file| file.expect("an entry").path()).collect();
    assert!(!files.is_empty());
    for file in files {
        let mut resolve = Resolve::default();
        resolve.push_dir(hostile.join("../../wit")).expect("the contract parses");
        let guest = "package test:hostile; world hostile { include wasmill:plugin/transform@0.1.0; }";
        let package = resolve.push_str("hostile.wit", guest).expect("the world parses");
        let world = resolve.select_world(&[package], Some("hostile")).expect("the world is there");
        let mut module = wat::parse_file(&file).expect("valid text");
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).expect("metadata fits");
        let mut encoder = ComponentEncoder::default();
        encoder.validate(true).module(&module).expect("the metadata is there");
        assert!(encoder.encode().is_ok(), "{}: {:?}", file.display(), encoder.encode());
    }
}
