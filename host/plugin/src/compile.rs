//! From the bytes of a component to machine code in memory: from the cache, from a child process, or compiled here.
#![allow(unsafe_code)]

use crate::cache::Cache;
use crate::confined::Child;
use crate::schema::{self, Request, SettingProblem};
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Instant;
use wasmill_stream::{Error, Result};
use wasmtime::Engine;
use wasmtime::component::Component;

/// Where strangers' bytes are worked on.
pub(crate) struct Compiler {
    child: Option<Child>,
    cache: Option<Cache>,
    /// What is in use, by digest: however many jobs load a component, its code is in memory once.
    in_use: Mutex<HashMap<String, Weak<Component>>>,
}

impl Compiler {
    /// In this process.
    pub(crate) fn here() -> Self {
        Self { child: None, cache: None, in_use: Mutex::default() }
    }

    /// In a child process.
    pub(crate) fn confined(child: Child, cache: Option<Cache>) -> Self {
        Self { child: Some(child), cache, in_use: Mutex::default() }
    }

    /// Compiles a component, unless it is in use already; the inner error is about the component.
    pub(crate) fn compile(
        &self,
        engine: &Engine,
        digest: &str,
        bytes: &[u8],
    ) -> Result<Result<Arc<Component>, String>> {
        let in_use = || self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(component) = in_use().get(digest).and_then(Weak::upgrade) {
            return Ok(Ok(component));
        }
        let component = match self.compile_anew(engine, digest, bytes)? {
            Ok(component) => Arc::new(component),
            Err(words) => return Ok(Err(words)),
        };
        let mut in_use = in_use();
        in_use.retain(|_, component| component.strong_count() > 0);
        // Somebody else may have been faster.
        let first = in_use.get(digest).and_then(Weak::upgrade);
        let component = first.unwrap_or(component);
        in_use.insert(digest.to_owned(), Arc::downgrade(&component));
        Ok(Ok(component))
    }

    fn compile_anew(&self, engine: &Engine, digest: &str, bytes: &[u8]) -> Result<Result<Component, String>> {
        let Some(child) = &self.child else {
            return Ok(Component::new(engine, bytes).map_err(|error| error.root_cause().to_string()));
        };
        let name = format!("{digest}-{:016x}", fingerprint(engine));
        if let Some(cache) = &self.cache
            && let Some(code) = cache.load(&name)
        {
            match revive(engine, &code) {
                Ok(component) => return Ok(Ok(component)),
                Err(error) => tracing::warn!("the compiled component {name} is compiled anew: {}", error.report()),
            }
        }
        let start = Instant::now();
        let code = match child.compile(bytes)? {
            Ok(code) => code,
            Err(words) => return Ok(Err(words)),
        };
        tracing::info!(took = ?start.elapsed(), bytes = code.len(), "compiled component {digest}");
        let component = revive(engine, &code)?;
        if let Some(cache) = &self.cache {
            cache.store(&name, &code);
        }
        Ok(Ok(component))
    }

    /// Judges settings; the inner error is about the schema.
    pub(crate) fn check(&self, request: &Request) -> Result<Result<Vec<SettingProblem>, String>> {
        let Some(child) = &self.child else { return Ok(request.problems()) };
        let bytes = request.bytes().map_err(Error::internal)?;
        match child.check(&bytes)? {
            Ok(answer) => schema::read(&answer).map(Ok).map_err(Error::internal),
            Err(words) => Ok(Err(words)),
        }
    }
}

fn revive(engine: &Engine, code: &[u8]) -> Result<Component> {
    // SAFETY: the bytes must be what this version of wasmtime has compiled. They come from our own child a moment ago, or
    // from the cache, which gives only what was stored by someone who knows the secret of its folder. wasmtime itself
    // checks version, settings and CPU features again.
    unsafe { Component::deserialize(engine, code) }
        .map_err(|error| Error::internal(format!("load the compiled component: {error:#}")))
}

/// Everything that machine code depends on besides the component: wasmtime's version, its settings, the CPU's features.
fn fingerprint(engine: &Engine) -> u64 {
    let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
    (env!("CARGO_PKG_VERSION"), engine.precompile_compatibility_hash()).hash(&mut hasher);
    hasher.finish()
}

/// The same in every process and every build, unlike the standard library's. A collision costs nothing: wasmtime refuses
/// code of other settings, and it is compiled anew.
struct Fnv(u64);

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
