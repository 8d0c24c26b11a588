//! The same component and the same input give the same bytes, on any instance and any machine.

use crate::guest::{FREE, Guest, UNCHANGED};
use wasmill_plugin::{Host, Limits};
use wasmill_stream::Binary;
use wasmill_stream::plugin::View;

/// Where the guest's numbers lie, and where its results.
const NUMBERS: u32 = FREE + 256;
const RESULTS: u32 = FREE + 512;

/// Every way in which arithmetic makes a NaN: x86 and ARM give them different signs.
const NANS: [&str; 6] = [
    "(f64.div (local.get $zero) (local.get $zero))",
    "(f64.sqrt (local.get $minus))",
    "(f64.sub (local.get $huge) (local.get $huge))",
    "(f64.mul (local.get $zero) (local.get $huge))",
    "(f64.add (local.get $nan) (local.get $zero))",
    "(f64.promote_f32 (f32.sqrt (f32.demote_f64 (local.get $minus))))",
];

/// Returns the bits of all of them, then those of an ordinary sum, as the value of its one row.
fn guest() -> Guest {
    let mut body = String::from("(local $zero f64) (local $minus f64) (local $huge f64) (local $nan f64)");
    for (number, name) in ["zero", "minus", "huge", "nan"].into_iter().enumerate() {
        body.push_str(&format!("(local.set ${name} (f64.load (i32.const {})))", NUMBERS as usize + number * 8));
    }
    for (number, nan) in NANS.into_iter().chain(["(f64.add (local.get $minus) (f64.const 0.1))"]).enumerate() {
        body.push_str(&format!("(f64.store (i32.const {}) {nan})", RESULTS as usize + number * 8));
    }
    body.push_str("(i32.const 256)");
    let mut output = UNCHANGED;
    output[11..16].copy_from_slice(&[1, FREE, 1, RESULTS, (NANS.len() as u32 + 1) * 8]);
    let mut answer = vec![0];
    answer.extend(output);
    let numbers = [0.0, -1.0, f64::INFINITY, f64::from_bits(0xfff8_dead_beef_0000)];
    let numbers: Vec<u32> =
        numbers.iter().flat_map(|number: &f64| [number.to_bits() as u32, (number.to_bits() >> 32) as u32]).collect();
    Guest::transform(&body)
        .with_values()
        .words(256, &answer)
        .words(FREE, &[(NANS.len() as u32 + 1) * 8])
        .words(NUMBERS, &numbers)
}

/// Two hosts get the same bytes, and every NaN has the one form that the WebAssembly specification calls canonical.
#[test]
fn same_bytes() {
    let values: Binary = ["row"].into_iter().collect();
    let run = || {
        let host = Host::new().expect("the engine starts");
        let plugin = host.transform(&guest().load(&host), "nan", "{}", Limits::default()).expect("a plugin");
        let view = View { times: &[1], keys: None, values: Some(&values), fields: Vec::new() };
        let rows = plugin.instantiate().expect("an instance").transform(&view).expect("a row");
        rows.main.values.expect("its value").get(0).to_vec()
    };
    let bytes = run();
    assert_eq!(bytes, run());
    let numbers: Vec<u64> =
        bytes.chunks_exact(8).map(|bits| u64::from_le_bytes(bits.try_into().expect("eight bytes"))).collect();
    let (sum, nans) = numbers.split_last().expect("a sum");
    assert_eq!(nans, [0x7ff8_0000_0000_0000; NANS.len()]);
    assert_eq!(*sum, (-0.9_f64).to_bits());
}
