//! Writes that are done, and whose answers are lost.

use crate::harness::bucket::Bucket;
use crate::harness::chance::{Chance, count};
use crate::harness::manifests::Manifests;
use crate::harness::proxy::Proxy;
use crate::harness::report;
use crate::harness::search::Search;
use crate::harness::server::MOTO;
use crate::kills::{RECORDS, finish, kill_again_and_again};
use crate::pipeline::{self, Input, Outlet, Pipeline};
use std::sync::Arc;

/// Every fifth write to S3, to the index and to the checkpoints in S3 is done, but its answer is lost; runs are killed as
/// well → the same.
#[test]
fn lost_answers() {
    let Some(s3) = MOTO.url() else { return };
    let (rounds, mut chance) = (count("WASMILL_KILLS", 20) / 5, Chance::announced());
    let search = Arc::new(Search::start());
    let bucket = Bucket::create(s3, "lost-answers");
    let proxies = [&search.url, s3, s3].map(|url| Proxy::start(url, 20, Chance::seeded(chance.below(1 << 30) as u64)));
    let [to_search, to_s3, to_checkpoints] = &proxies;
    let outlets = pipeline::local().into_iter().chain([
        Outlet::Index { search: search.clone(), url: to_search.url.clone() },
        Outlet::Objects { bucket: bucket.clone(), url: to_s3.url.clone() },
    ]);
    let (members, manifests) = Manifests::in_bucket(&bucket, &to_checkpoints.url);
    let pipeline = Pipeline::new(Input::new((rounds + 2) * RECORDS), outlets.collect());
    let pipeline = pipeline.checkpoints(members, manifests);
    let tally = kill_again_and_again(&pipeline, rounds, &mut chance);
    finish(&pipeline, tally);
    let counts = proxies.each_ref().map(Proxy::counts);
    assert!(counts.iter().all(|(_, lost)| *lost > 0), "{counts:?}");
    report(&format!("writes and lost answers of the index, the objects and the checkpoints: {counts:?}"));
}
