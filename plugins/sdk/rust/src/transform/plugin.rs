//! What a transform becomes: one object per instance, set by `configure`, that turns batches into columns.

use super::{BatchTransform, Transform};
use crate::bindings::Needs;
use crate::emit::Writer;
use crate::row::Fields;
use crate::settings::{self, NoSettings};
use crate::{Batch, Columns, Output, Row, log};
use std::cell::RefCell;
use std::marker::PhantomData;

/// A configured transform, whatever it was written as.
pub trait Plugin {
    fn needs(&self) -> Needs;
    fn transform(&self, batch: Batch) -> Result<Columns, String>;
}

thread_local! {
    /// The plugin of this instance, set by `configure`.
    static PLUGIN: RefCell<Option<Box<dyn Plugin>>> = const { RefCell::new(None) };
}

pub fn configure(settings: &str, make: impl FnOnce(&str) -> Result<Box<dyn Plugin>, String>) -> Result<Needs, String> {
    log::report_panics();
    let plugin = make(settings)?;
    let needs = plugin.needs();
    PLUGIN.set(Some(plugin));
    Ok(needs)
}

pub fn call(batch: Batch) -> Result<Columns, String> {
    PLUGIN.with_borrow(|plugin| plugin.as_ref().ok_or("transform was called before configure")?.transform(batch))
}

// === functions ===

/// A function over rows that may borrow from the batch.
pub trait Function<'row, R: Row> {
    type Output: Output;
    fn call(&self, row: R::Of<'row>) -> Self::Output;
}

impl<'row, R: Row, F: Fn(R::Of<'row>) -> O, O: Output> Function<'row, R> for F {
    type Output = O;

    #[inline]
    fn call(&self, row: R::Of<'row>) -> O {
        self(row)
    }
}

struct OfFunction<F, R>(F, PhantomData<R>);

pub fn of_function<R, O, F>(settings: &str, function: F) -> Result<Box<dyn Plugin>, String>
where
    R: Row + 'static,
    O: Output,
    // The first bound lets the compiler find the row type, the second lets rows borrow.
    F: Fn(R) -> O + for<'row> Function<'row, R> + 'static,
{
    settings::parse::<NoSettings>(settings)?;
    Ok(Box::new(OfFunction(function, PhantomData)))
}

impl<R: Row, F: for<'row> Function<'row, R>> Plugin for OfFunction<F, R> {
    fn needs(&self) -> Needs {
        needs::<R, <F as Function<'static, R>>::Output>()
    }

    fn transform(&self, batch: Batch) -> Result<Columns, String> {
        each_row::<R, _>(&batch, |row| self.0.call(row))
    }
}

// === types ===

struct OfRows<T>(T);

pub fn of_rows<T: Transform>(settings: &str) -> Result<Box<dyn Plugin>, String> {
    Ok(Box::new(OfRows(settings::parse::<T>(settings)?)))
}

impl<T: Transform> Plugin for OfRows<T> {
    fn needs(&self) -> Needs {
        needs::<T::Row, T::Output>()
    }

    fn transform(&self, batch: Batch) -> Result<Columns, String> {
        each_row::<T::Row, _>(&batch, |row| self.0.transform(row))
    }
}

struct OfBatches<T>(T);

pub fn of_batches<T: BatchTransform>(settings: &str) -> Result<Box<dyn Plugin>, String> {
    Ok(Box::new(OfBatches(settings::parse::<T>(settings)?)))
}

impl<T: BatchTransform> Plugin for OfBatches<T> {
    fn needs(&self) -> Needs {
        self.0.needs()
    }

    fn transform(&self, batch: Batch) -> Result<Columns, String> {
        self.0.transform(batch)
    }
}

fn needs<R: Row, O: Output>() -> Needs {
    let mut fields = Vec::new();
    R::declare(&mut fields);
    Needs { fields, reads_values: R::READS_VALUES, writes_values: O::COLUMNS.values }
}

fn each_row<'a, R: Row, O: Output>(batch: &'a Batch, call: impl Fn(R::Of<'a>) -> O) -> Result<Columns, String> {
    let mut reader = R::open(batch, &mut Fields::of(batch))?;
    let mut writer = Writer::new(batch.len(), O::COLUMNS);
    for row in 0..batch.len() {
        writer.start(row);
        match R::read(&mut reader, row) {
            Ok(read) => call(read).write(&mut writer),
            Err(reject) => writer.reject(reject),
        }
    }
    Ok(writer.finish(batch.len(), O::COLUMNS))
}

#[cfg(test)]
mod tests;
