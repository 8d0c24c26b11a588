//! What a transform becomes: one object per instance, set by `configure`, that turns batches into columns.

use super::{BatchTransform, Transform};
use crate::bindings::{self as wire, Binary, Needs};
use crate::emit::Writer;
use crate::row::Fields;
use crate::settings::{self, NoSettings};
use crate::{Batch, Columns, Failure, Output, Row, log, metrics};
use std::cell::RefCell;
use std::marker::PhantomData;

/// A configured transform, whatever it was written as.
pub trait Plugin {
    fn needs(&self) -> Result<Needs, String>;
    fn transform(&self, batch: Batch) -> Result<Columns, Failure>;
}

thread_local! {
    /// The plugin of this instance, set by `configure`.
    static PLUGIN: RefCell<Option<Box<dyn Plugin>>> = const { RefCell::new(None) };
}

pub fn configure(settings: &str, make: impl FnOnce(&str) -> Result<Box<dyn Plugin>, String>) -> Result<Needs, String> {
    log::report_panics();
    let plugin = make(settings)?;
    let needs = plugin.needs()?;
    PLUGIN.set(Some(plugin));
    Ok(needs)
}

pub fn call(batch: Batch) -> Result<Columns, wire::Failure> {
    let call = || {
        PLUGIN.with_borrow(|plugin| plugin.as_ref().ok_or("transform was called before configure")?.transform(batch))
    };
    Ok(metrics::of_call(call)?)
}

/// A transform has no state.
pub fn migrate() -> Result<Binary, wire::Failure> {
    Err(wire::Failure::Fatal("no state".into()))
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
    fn needs(&self) -> Result<Needs, String> {
        Ok(Needs::of::<R, <F as Function<'static, R>>::Output>(|pointer| pointer))
    }

    fn transform(&self, batch: Batch) -> Result<Columns, Failure> {
        each_row::<R, _>(&batch, |row| self.0.call(row))
    }
}

// === types ===

struct OfRows<T>(T);

pub fn of_rows<T: Transform>(settings: &str) -> Result<Box<dyn Plugin>, String> {
    Ok(Box::new(OfRows(settings::parse::<T>(settings)?)))
}

impl<T: Transform> Plugin for OfRows<T> {
    fn needs(&self) -> Result<Needs, String> {
        Ok(Needs::of::<T::Row, T::Output>(|pointer| self.0.pointer(pointer)))
    }

    fn transform(&self, batch: Batch) -> Result<Columns, Failure> {
        each_row::<T::Row, _>(&batch, |row| self.0.transform(row))
    }
}

struct OfBatches<T>(T);

pub fn of_batches<T: BatchTransform>(settings: &str) -> Result<Box<dyn Plugin>, String> {
    Ok(Box::new(OfBatches(settings::parse::<T>(settings)?)))
}

impl<T: BatchTransform> Plugin for OfBatches<T> {
    fn needs(&self) -> Result<Needs, String> {
        self.0.needs()
    }

    fn transform(&self, batch: Batch) -> Result<Columns, Failure> {
        self.0.transform(batch)
    }
}

fn each_row<'a, R: Row, O: Output>(batch: &'a Batch, call: impl Fn(R::Of<'a>) -> O) -> Result<Columns, Failure> {
    let mut reader = R::open(batch, &mut Fields::of(batch))?;
    let mut writer = Writer::new::<O>(batch.len());
    for row in 0..batch.len() {
        writer.start(row);
        match R::read(&mut reader, row) {
            Ok(read) => call(read).write(&mut writer),
            Err(reject) => writer.reject(reject),
        }
        if writer.has_failed() {
            break;
        }
    }
    writer.finish(batch.len())
}

#[cfg(test)]
mod tests;
