//! Values that wait to be sent, put together by series and time: each value once with how often it came, or only what a statistic
//! needs. Pure.

use std::collections::BTreeMap;

/// Values of one data point:
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html>.
pub const MOST_VALUES: usize = 150;

/// A series: the name of its metric, and its dimensions.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Series {
    /// What is measured.
    pub metric: String,
    /// Of what: values of the dimensions, in the order in which the settings have these.
    pub values: Vec<String>,
}

/// The values of a series at a time.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Each with how often it came, by the order of their bits.
    Each(BTreeMap<u64, (f64, f64)>),
    /// Number, sum, least and greatest.
    Set {
        #[allow(missing_docs)]
        count: f64,
        #[allow(missing_docs)]
        sum: f64,
        #[allow(missing_docs)]
        least: f64,
        #[allow(missing_docs)]
        greatest: f64,
    },
}

/// A data point.
#[derive(Debug, Clone)]
pub struct Point {
    /// Of what.
    pub series: Series,
    /// When, in seconds since 1970-01-01T00:00:00Z.
    pub second: i64,
    /// What was measured.
    pub values: Values,
}

impl Values {
    /// None yet.
    pub fn new(is_set: bool) -> Self {
        match is_set {
            true => Self::Set { count: 0.0, sum: 0.0, least: f64::INFINITY, greatest: f64::NEG_INFINITY },
            false => Self::Each(BTreeMap::new()),
        }
    }

    /// Adds one, unless there is no room for it.
    pub fn add(&mut self, value: f64) -> bool {
        // There are two zeros, which are one value.
        let value = value + 0.0;
        match self {
            Self::Set { count, sum, least, greatest } => {
                (*count, *sum) = (*count + 1.0, *sum + value);
                (*least, *greatest) = (least.min(value), greatest.max(value));
            }
            Self::Each(all) => {
                let has_room = all.len() < MOST_VALUES;
                match all.get_mut(&value.to_bits()) {
                    Some((_, count)) => *count += 1.0,
                    None if !has_room => return false,
                    None => drop(all.insert(value.to_bits(), (value, 1.0))),
                }
            }
        }
        true
    }
}

impl Point {
    /// About how many bytes of a request it takes.
    pub fn bytes(&self, names: usize) -> usize {
        let values = match &self.values {
            Values::Each(all) => all.len() * 18,
            Values::Set { .. } => 100,
        };
        let Series { metric, values: texts } = &self.series;
        // Names of members, time, unit.
        160 + metric.len() + names + texts.iter().map(|text| text.len() + 20).sum::<usize>() + values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Equal values add up, both zeros are one; there is room for 150 different ones and for any number of equal ones.
    #[test]
    fn equal_values_add_up() {
        let mut values = Values::new(false);
        assert!([0.0, -0.0, 1.5, 1.5, 1.5].into_iter().all(|value| values.add(value)));
        let Values::Each(all) = &values else { panic!("values") };
        assert_eq!(all.values().copied().collect::<Vec<_>>(), [(0.0, 2.0), (1.5, 3.0)]);
        assert!((2..150).all(|value| values.add(f64::from(value))));
        assert!(!values.add(1e6) && values.add(1.5));
    }

    /// A set is what a slow look at all values finds.
    #[test]
    fn a_set_sums_up() {
        let all = [3.0, -1.0, 2.5, 3.0];
        let mut values = Values::new(true);
        assert!(all.into_iter().all(|value| values.add(value)));
        assert_eq!(values, Values::Set { count: 4.0, sum: 7.5, least: -1.0, greatest: 3.0 });
    }
}
