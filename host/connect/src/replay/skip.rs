//! Going on behind a checkpoint: the input is read and dealt again from its start, which is deterministic, and what each
//! split had before is dropped. Event time that has passed is not waited for again.

use super::dealer::Cue;
use wasmill_stream::source::Resume;
use wasmill_stream::{Error, Position, Result};

/// What each split had before.
pub struct Skip {
    splits: Vec<Had>,
    /// The last time to wait for of what was dropped: from there on event time goes on.
    wait: Option<i64>,
    /// Whether something was handed on.
    begun: bool,
}

#[derive(Clone, Default)]
struct Had {
    /// The position of its last record; 0: none.
    last: u64,
    /// Whether it ended.
    done: bool,
    /// The position of the last record that was dealt to it now.
    dealt: u64,
}

impl Skip {
    /// The positions of a checkpoint; nothing is skipped if there is none.
    pub fn new(splits: usize, resume: Option<&Resume>) -> Result<Self> {
        let mut had = vec![Had::default(); splits];
        for (part, mark) in resume.iter().flat_map(|resume| &resume.splits) {
            let split = part.parse().ok().and_then(|part: usize| had.get_mut(part));
            let split = split.ok_or_else(|| Error::invalid(format!("the checkpoint has a split {part}")))?;
            split.done = mark.done;
            split.last = match mark.position {
                None => 0,
                Some(Position::Number(number)) => number,
                Some(Position::Sequence(sequence)) => {
                    let what = format!("the checkpoint has the position {sequence}, which is no number of a record");
                    return Err(Error::invalid(what).hint("give this source another name"));
                }
            };
        }
        Ok(Self { splits: had, wait: None, begun: false })
    }

    /// Whether a split ended before.
    pub fn is_done(&self, split: usize) -> bool {
        self.splits.get(split).is_some_and(|had| had.done)
    }

    /// Keeps what is new.
    pub fn filter(&mut self, cues: Vec<Cue>) -> Result<Vec<Cue>> {
        let mut kept = Vec::with_capacity(cues.len());
        for cue in cues {
            match cue {
                Cue::Wait(time) if self.begun => kept.push(Cue::Wait(time)),
                Cue::Wait(time) => self.wait = Some(time),
                Cue::Rows { split, first, values } => {
                    let Some(had) = self.splits.get_mut(split) else { continue };
                    let rows = values.len() as u64;
                    had.dealt = first + rows - 1;
                    if had.dealt <= had.last {
                        continue;
                    }
                    if had.done {
                        return Err(Error::invalid(format!(
                            "split {split} had ended at record {}, but its input goes on: records were added after the \
                             end; start without the checkpoint, or take them away",
                            had.last
                        )));
                    }
                    let known = (had.last + 1).saturating_sub(first);
                    let values = match known {
                        0 => values,
                        known => values.select(&(known as u32..rows as u32).collect::<Vec<_>>()),
                    };
                    self.begun = true;
                    kept.extend(self.wait.take().map(Cue::Wait));
                    kept.push(Cue::Rows { split, first: first + known, values });
                }
            }
        }
        Ok(kept)
    }

    /// The input has ended: an error if a split has had more than there is.
    pub fn finish(&self) -> Result<()> {
        match self.splits.iter().enumerate().find(|(_, had)| had.dealt < had.last) {
            None => Ok(()),
            Some((split, had)) => Err(Error::invalid(format!(
                "split {split} had got its record {} when the checkpoint was made, but the input now ends at its record {}: \
                 records are missing; put them back, or start without the checkpoint",
                had.last, had.dealt
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use wasmill_stream::Binary;
    use wasmill_stream::checkpoint::SplitMark;

    fn skip(splits: usize, had: &[(&str, u64, bool)]) -> Result<Skip> {
        let mark = |last, done| SplitMark { position: Some(Position::Number(last)), watermark: None, done };
        let splits_had = had.iter().map(|(part, last, done)| ((*part).to_owned(), mark(*last, *done)));
        let resume = Resume { splits: splits_had.collect::<BTreeMap<_, _>>(), ..Resume::default() };
        Skip::new(splits, Some(&resume))
    }

    fn rows(split: usize, first: u64, values: &[&str]) -> Cue {
        Cue::Rows { split, first, values: values.iter().collect::<Binary>() }
    }

    /// Records up to the position of their split are dropped, a run that lies across it is cut, and time goes on from the
    /// last wait before what is new.
    #[test]
    fn what_was_had_is_dropped() {
        let mut skip = skip(2, &[("0", 3, false), ("1", 2, false)]).expect("positions");
        let first = vec![Cue::Wait(10), rows(0, 1, &["a", "b"]), rows(1, 1, &["c", "d"]), Cue::Wait(20)];
        assert_eq!(skip.filter(first).expect("dealt"), []);
        assert!(skip.finish().is_err(), "split 0 had a third record");
        let second = vec![Cue::Wait(30), rows(0, 3, &["e", "f"]), Cue::Wait(40), rows(1, 3, &["g"])];
        let kept = vec![Cue::Wait(30), rows(0, 4, &["f"]), Cue::Wait(40), rows(1, 3, &["g"])];
        assert_eq!(skip.filter(second).expect("dealt"), kept);
        assert!(skip.finish().is_ok());
    }

    /// A split that had ended gets no more, and a checkpoint of another kind of source is none of ours.
    #[test]
    fn what_does_not_fit() {
        let mut ended = skip(1, &[("0", 1, true)]).expect("positions");
        assert_eq!(ended.filter(vec![rows(0, 1, &["a"])]).expect("dealt"), []);
        let error = ended.filter(vec![rows(0, 2, &["b"])]).expect_err("more").to_string();
        assert!(error.contains("split 0 had ended at record 1"), "{error}");
        assert!(skip(1, &[("1", 1, false)]).is_err() && skip(1, &[("shard", 1, false)]).is_err());
    }
}
