use super::super::pack::{Aggregate as Packed, UserRecord as Packable, seal};
use super::*;
use proptest::prelude::*;
use serde_json::Value as Json;

/// The bytes of the user records of an aggregate, each with its number.
fn unpacked(record: &[u8], hashes: Option<&Hashes>) -> Option<Vec<(u32, Vec<u8>)>> {
    let data = |one: &UserRecord| record[one.start as usize..one.end as usize].to_vec();
    read(record, hashes).map(|aggregate| aggregate.records.iter().map(|one| (one.sub, data(one))).collect())
}

fn bytes(hex: &Json) -> Vec<u8> {
    let hex = hex.as_str().expect("a text");
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("two digits")).collect()
}

/// Aggregates that an implementation by others has made (`vectors.py`) → exactly what was put in; those user records that
/// belong to a shard, for any shard that ends at one of them.
#[test]
fn golden_vectors() {
    let vectors: Vec<Json> = serde_json::from_str(include_str!("vectors.json")).expect("JSON");
    assert_eq!(vectors.len(), 13);
    for vector in vectors {
        let (name, record) = (&vector["name"], bytes(&vector["record"]));
        let user_records = vector["user_records"].as_array().expect("a list");
        let data: Vec<_> = (0..).zip(user_records.iter().map(|one| bytes(&one["data"]))).collect();
        assert_eq!(unpacked(&record, None), Some(data.clone()), "{name}");
        let hashes: Vec<u128> = user_records.iter().map(hash).collect();
        for last in &hashes {
            let shard = 0..=*last;
            let here = data.iter().zip(&hashes).filter(|(_, hash)| shard.contains(hash)).map(|(one, _)| one.clone());
            let here: Vec<_> = here.collect();
            let elsewhere = read(&record, Some(&shard)).expect("an aggregate").elsewhere;
            assert_eq!((here.len() + elsewhere as usize, unpacked(&record, Some(&shard))), (data.len(), Some(here)));
        }
    }
}

/// The hash by which the service finds the shard of a vector's user record.
fn hash(user_record: &Json) -> u128 {
    match user_record["hash_key"].as_str() {
        Some(hash_key) => hash_key.parse().expect("a number"),
        None => hash_of(user_record["partition_key"].as_str().expect("a text").as_bytes()),
    }
}

/// The hash of a key is that of the service: the MD5 of "a" is 0cc175b9c0f1b6a831c399e269772661.
#[test]
fn hashes_of_keys() {
    assert_eq!(hash_of(b"a"), 0x0cc1_75b9_c0f1_b6a8_31c3_99e2_6977_2661);
}

/// Records that only look like aggregates → they are none, and stay as they are.
#[test]
fn what_is_no_aggregate() {
    let good = Packed::of("k", Some(5), ["a", "b"]);
    let sealed = good.pack();
    assert!(read(&sealed, None).is_some());
    let mut flipped = sealed.clone();
    *flipped.last_mut().expect("a digest") ^= 1;
    let changed = |change: fn(&mut Packed)| {
        let mut packed = Packed::of("k", Some(5), ["a", "b"]);
        change(&mut packed);
        packed.pack()
    };
    let raw = |message: &[u8]| seal(message);
    let cases = [
        ("plain", b"a,b,c".to_vec()),
        ("no bytes", Vec::new()),
        ("magic alone", MAGIC.to_vec()),
        ("no room for a digest", sealed[..sealed.len().min(19)].to_vec()),
        ("an empty message", raw(b"")),
        ("a wrong digest", flipped),
        ("a byte less", sealed[..sealed.len() - 1].to_vec()),
        ("a byte more", [&sealed[..], b"x"].concat()),
        ("another magic", [&b"\xf3\x89\x9a\xc3"[..], &sealed[4..]].concat()),
        ("a partition key that is not in the table", changed(|packed| packed.records[1].partition_key = 1)),
        ("the greatest index", changed(|packed| packed.records[1].partition_key = u64::MAX)),
        ("a hash key that is not in the table", changed(|packed| packed.records[0].hash_key = Some(1))),
        ("a hash key that is no number", changed(|packed| packed.hash_keys[0] = "five".to_owned())),
        ("a hash key of 129 bits", changed(|packed| packed.hash_keys[0] = format!("{}0", u128::MAX))),
        ("no partition keys", changed(|packed| packed.partition_keys.clear())),
        ("a user record without members", raw(b"\x0a\x01k\x1a\x00")),
        ("a user record without data", raw(b"\x0a\x01k\x1a\x02\x08\x00")),
        ("a user record without a key", raw(b"\x0a\x01k\x1a\x02\x1a\x00")),
        ("a user record that is a number", raw(b"\x0a\x01k\x18\x01")),
        ("data that is a number", raw(b"\x0a\x01k\x1a\x04\x08\x00\x18\x01")),
        ("a key that is a number", raw(b"\x08\x01")),
        ("a length beyond the end", raw(b"\x0a\x05k")),
        ("a length of 2^64 - 1", raw(b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01k")),
        ("an integer that does not end", raw(b"\x0a\x80")),
        ("an integer of eleven bytes", raw(&[&[0x80; 10][..], &[1]].concat())),
        ("a field 0", raw(b"\x02\x00")),
        ("a group", raw(b"\x23\x24")),
    ];
    for (what, record) in cases {
        assert_eq!(read(&record, None), None, "{what}");
    }
}

/// What the format allows besides: tables behind the user records, fields and tags that nobody knows, keys that nobody
/// names and that are no numbers, members that are there twice, no user records at all.
#[test]
fn what_is_an_aggregate_all_the_same() {
    let found = |record: &[u8]| unpacked(record, None).expect("an aggregate");
    let one = |data: &str| vec![(0, data.as_bytes().to_vec())];
    let record = b"\x1a\x05\x08\x00\x1a\x01v";
    assert_eq!(found(&seal(&[record, &b"\x0a\x01k"[..]].concat())), one("v"));
    let unknown = b"\x20\x07\x29........\x32\x02..\x3d....";
    assert_eq!(found(&seal(&[&b"\x0a\x01k"[..], unknown, record].concat())), one("v"));
    assert_eq!(found(&seal(b"\x0a\x01k\x1a\x0a\x08\x00\x1a\x01v\x22\x03\x0a\x01a")), one("v"));
    let mut unnamed = Packed::of("k", None, ["v"]);
    unnamed.hash_keys.push("none".to_owned());
    assert_eq!(found(&unnamed.pack()), one("v"));
    assert_eq!(found(&seal(b"\x0a\x01k\x1a\x08\x08\x00\x1a\x01u\x1a\x01v")), one("v"));
    assert_eq!(found(&seal(b"\x0a\x01k")), []);
}

proptest! {
    /// Any aggregate comes back, its user records in order, those of other shards left out and counted.
    #[test]
    fn round_trip(
        keys in proptest::collection::vec(".{0,4}", 1..5),
        hashes in proptest::collection::vec(any::<u128>(), 1..5),
        records in proptest::collection::vec((0u64..5, proptest::option::of(0u64..5), any::<Vec<u8>>()), 0..40),
        (first, last) in any::<(u128, u128)>(),
    ) {
        let fit = |index: u64, table: usize| index % table as u64;
        let packable = |(key, hash, data): &(u64, Option<u64>, Vec<u8>)| Packable {
            partition_key: fit(*key, keys.len()),
            hash_key: hash.map(|hash| fit(hash, hashes.len())),
            data: data.clone(),
        };
        let packed = Packed {
            partition_keys: keys.clone(),
            hash_keys: hashes.iter().map(u128::to_string).collect(),
            records: records.iter().map(packable).collect(),
        };
        let record = packed.pack();
        let shard = first.min(last)..=first.max(last);
        let belongs = |one: &Packable| {
            let by_key = u128::from_be_bytes(md5::Md5::digest(&keys[one.partition_key as usize]).into());
            shard.contains(&one.hash_key.map_or(by_key, |index| hashes[index as usize]))
        };
        let all: Vec<_> = (0..).zip(&packed.records).collect();
        let data = |(sub, one): (u32, &Packable)| (sub, one.data.clone());
        prop_assert_eq!(unpacked(&record, None), Some(all.iter().copied().map(data).collect()));
        let here: Vec<_> = all.iter().copied().filter(|(_, one)| belongs(one)).map(data).collect();
        let elsewhere = read(&record, Some(&shard)).expect("an aggregate").elsewhere as usize;
        prop_assert_eq!(here.len() + elsewhere, all.len());
        prop_assert_eq!(unpacked(&record, Some(&shard)), Some(here));
    }

    /// Any bytes between magic and a right digest, and any change of a good message → never a panic, and whatever is read
    /// lies inside the record.
    #[test]
    fn hostile_messages(bytes: Vec<u8>, at: prop::sample::Index, value: u8, cut: prop::sample::Index) {
        let mut message = Packed::of("key", Some(7), ["one", "two", "three"]).message();
        let changed = at.index(message.len());
        message[changed] = value;
        let shorter = cut.index(message.len());
        for message in [&bytes[..], &message[..], &message[..shorter]] {
            let record = seal(message);
            for hashes in [None, Some(&(0..=u128::MAX / 2))] {
                let Some(aggregate) = read(&record, hashes) else { continue };
                prop_assert!(aggregate.records.iter().all(|one| one.start <= one.end && one.end as usize <= record.len()));
            }
        }
    }
}
