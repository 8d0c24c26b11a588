//! The checkpoints of a job, looked at from the side.

use super::bucket::Bucket;
use super::kinesis::ACCESS;
use std::fs;
use std::path::PathBuf;
use wasmill_stream::checkpoint::Manifest;

/// Where the checkpoints of one job lie.
pub enum Manifests {
    /// In a folder.
    Folder(PathBuf),
    /// Behind a prefix of a bucket.
    Bucket(Bucket, String),
}

impl Manifests {
    /// In a bucket that the job reaches through `url`: members of the table `[checkpoint]`, and where that is.
    pub fn in_bucket(bucket: &Bucket, url: &str) -> (String, Self) {
        let prefix = "checkpoints/pipeline";
        let to = format!("to = \"s3://{}/{prefix}\"\nendpoint = \"{url}\"", bucket.name);
        let members = format!("{to}\n{ACCESS}\ninterval = \"200ms\"\nretain = 3");
        (members, Self::Bucket(bucket.clone(), prefix.to_owned()))
    }

    /// The numbers of all manifests, ascending.
    pub fn numbers(&self) -> Vec<u64> {
        let names: Vec<String> = match self {
            Self::Folder(folder) => {
                let entries = fs::read_dir(folder.join("manifest")).into_iter().flatten().flatten();
                entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
            }
            Self::Bucket(bucket, prefix) => bucket.keys(&format!("{prefix}/manifest/")),
        };
        let mut numbers: Vec<u64> = names.iter().filter_map(|name| name.rsplit('/').next()?.parse().ok()).collect();
        numbers.sort_unstable();
        numbers
    }

    /// The newest one. A program may publish and remove manifests meanwhile.
    pub fn newest(&self) -> Option<Manifest> {
        loop {
            let number = *self.numbers().last()?;
            let Some(bytes) = self.bytes(number) else { continue };
            let manifest = Manifest::decode(&bytes);
            return Some(manifest.unwrap_or_else(|why| panic!("manifest {number} is not whole: {why:?}")));
        }
    }

    fn bytes(&self, number: u64) -> Option<Vec<u8>> {
        match self {
            Self::Folder(folder) => fs::read(folder.join(format!("manifest/{number:010}"))).ok(),
            Self::Bucket(bucket, prefix) => bucket.object(&format!("{prefix}/manifest/{number:010}")),
        }
    }
}

/// How many records all splits of all sources had given. Positions of a replay count from 1.
pub fn progress(manifest: &Manifest) -> u64 {
    let splits = manifest.sources.values().flat_map(|source| source.splits.values());
    let positions = splits.filter_map(|split| split.position);
    positions.map(|position| position.to_string().parse::<u64>().expect("a number")).sum()
}
