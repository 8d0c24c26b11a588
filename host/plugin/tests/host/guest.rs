//! Components for the tests: a core module in WebAssembly text, wrapped into a component by the contract's WIT.
//! Answers lie ready in memory in the canonical ABI, word by word.

use std::fmt::Write;
use wasmill_plugin::{Component, Host};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

const WIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit");
/// Where the answer of `configure` lies: a result, then the needs.
const NEEDS: u32 = 128;
/// Where the answer of a call with rows lies.
pub const ANSWER: u32 = 256;
/// Where the schema lies; what is reserved lies behind it.
const SCHEMA: u32 = 65_536;
/// Memory that a test may fill with what the answer points to.
pub const FREE: u32 = 1024;

/// The `output` of a transform in words: no column, no side output, no reject.
pub const UNCHANGED: [u32; 20] = [0; 20];
/// What a process answers besides its states: timers, main output, side outputs, rejects.
pub const SILENT: [u32; 24] = {
    let mut words = [0; 24];
    // `origins` is there and empty.
    words[4] = 1;
    words
};

/// The core module of a guest.
pub struct Guest {
    world: &'static str,
    data: String,
    schema: String,
    configure: String,
    migrate: String,
    imports: String,
    look: String,
    functions: String,
}

impl Guest {
    /// A transform whose function `transform` has this body. Its locals 0 to 13 are the columns of the batch.
    pub fn transform(body: &str) -> Self {
        let columns = "(param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)";
        let name = "wasmill:plugin/transformer@0.1.0#transform";
        Self::new("transform", format!("(func $function (export \"{name}\") {columns} (result i32) {body})"))
    }

    /// A transform that always gives the same `output`.
    pub fn answering(output: [u32; 20]) -> Self {
        let mut answer = vec![0];
        answer.extend(output);
        Self::transform(&format!("(i32.const {ANSWER})")).words(ANSWER, &answer)
    }

    /// An aggregator that keeps the accumulators it is given, merges nothing, and returns accumulators as results.
    pub fn keeping_accumulators() -> Self {
        let name = "wasmill:plugin/aggregation@0.1.0";
        let keep = format!("(memory.copy (i32.const {}) (local.get 0) (i32.const 16))", ANSWER + 4);
        // Locals 1, 3, 5 and 11 are the numbers of starts, ends, panes and accumulators.
        let mut finish = format!("(i32.store (i32.const {}) (i32.const 0))", ANSWER + 4);
        for count in [1, 3, 5] {
            let _ = write!(finish, "(if (i32.ne (local.get {count}) (local.get 11)) (then unreachable))");
        }
        for word in 0..4 {
            let (at, local) = (ANSWER + 16 + word * 4, 10 + word);
            let _ = write!(finish, "(i32.store (i32.const {at}) (local.get {local}))");
        }
        Self::new(
            "aggregator",
            format!(
                "(func (export \"{name}#accumulate\") (param i32) (result i32) (call $look) {keep} (i32.const {ANSWER}))
                 (func (export \"{name}#merge\") (param i32 i32 i32 i32 i32 i32 i32) (result i32)
                   (call $look) (i32.const {ANSWER}))
                 (func (export \"{name}#finish\")
                   (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
                   (call $look) {finish} (i32.const {ANSWER}))"
            ),
        )
    }

    /// A process that keeps the states it is given, and answers the rest with these words.
    pub fn keeping_states(rest: [u32; 24]) -> Self {
        Self::process(&format!(
            "(memory.copy (i32.const {}) (i32.add (local.get 0) (i32.const 16)) (i32.const 16)) (i32.const {ANSWER})",
            ANSWER + 4
        ))
        .words(ANSWER + 20, &rest)
    }

    /// A process whose function has this body. Its local 0 points to the turn.
    pub fn process(body: &str) -> Self {
        let name = "wasmill:plugin/processing@0.1.0#process";
        Self::new("process", format!("(func $function (export \"{name}\") (param i32) (result i32) {body})"))
    }

    /// With the functions of another guest as well.
    pub fn and(mut self, other: Self) -> Self {
        self.functions.push_str(&other.functions);
        self
    }

    fn new(world: &'static str, functions: String) -> Self {
        let configure = format!("(i32.const {NEEDS})");
        let data = "(data (i32.const 64) \"test1.2.3\")".to_owned();
        let migrate = format!("(i32.const {ANSWER})");
        Self {
            world,
            data,
            schema: String::new(),
            configure,
            migrate,
            imports: String::new(),
            look: String::new(),
            functions,
        }
    }

    /// Declares that values are read and written.
    pub fn with_values(self) -> Self {
        self.words(NEEDS, &[0, 0, 0, 0x0101])
    }

    /// Replaces the body of `configure`; locals 0 and 1 are the settings.
    pub fn configure(mut self, body: &str) -> Self {
        self.configure = body.to_owned();
        self
    }

    /// Replaces the body of `migrate`; local 0 is the version, 1 to 4 are the states.
    pub fn migrate(mut self, body: &str) -> Self {
        self.migrate = body.to_owned();
        self
    }

    /// Declares side outputs; `sides` are pointer and length of a name and whether values are written, for each.
    pub fn with_sides(self, sides: &[u32]) -> Self {
        let at = FREE + 512;
        self.words(NEEDS, &[0, 0, 0, 0, at, (sides.len() / 3) as u32]).words(at, sides)
    }

    /// With more imports of the core module.
    pub fn importing(mut self, imports: &str) -> Self {
        self.imports = imports.to_owned();
        self
    }

    /// With a body of the function `$look`, which is empty by default. An aggregator calls it first in every function, other
    /// guests where a test calls it.
    pub fn looking(mut self, body: &str) -> Self {
        self.look = body.to_owned();
        self
    }

    /// With a schema of its settings, which lies behind all else.
    pub fn with_schema(mut self, schema: &str) -> Self {
        self.schema = schema.to_owned();
        self
    }

    /// Puts words into memory.
    pub fn words(self, at: u32, values: &[u32]) -> Self {
        self.raw(at, &words(values))
    }

    /// Puts text into memory.
    pub fn text(self, at: u32, text: &str) -> Self {
        self.raw(at, text)
    }

    fn raw(mut self, at: u32, escaped: &str) -> Self {
        let _ = write!(self.data, "(data (i32.const {at}) \"{escaped}\")");
        self
    }

    /// The core module by itself.
    pub fn core(&self) -> Vec<u8> {
        let Self { data, configure, migrate, imports, look, functions, .. } = self;
        // Name, version, schema, and 7 as the version of the state.
        let has_schema = u32::from(!self.schema.is_empty());
        let description = words(&[64, 4, 68, 5, has_schema, SCHEMA, self.schema.len() as u32, 7]);
        let schema = self.schema.replace('\\', "\\\\").replace('"', "\\\"");
        let pages = (SCHEMA as usize + self.schema.len()).div_ceil(65_536).max(2);
        let heap = SCHEMA as usize + self.schema.len();
        let text = format!(
            r#"(module
                (import "wasmill:plugin/log@0.1.0" "log" (func $log (param i32 i32 i32)))
                (import "wasmill:plugin/metrics@0.1.0" "count" (func $count (param i32 i32 i64)))
                (import "wasmill:plugin/metrics@0.1.0" "gauge" (func $gauge (param i32 i32 f64)))
                (import "wasmill:plugin/metrics@0.1.0" "observe" (func $observe (param i32 i32 f64)))
                {imports}
                (memory (export "memory") {pages})
                (data (i32.const 16) "{description}") (data (i32.const {SCHEMA}) "{schema}")
                (global $heap (mut i32) (i32.const {heap}))
                (func $reserve (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                  (local $at i32)
                  (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
                  (global.set $heap (i32.add (local.get $at) (local.get 3)))
                  (block $enough (loop $more
                    (br_if $enough (i32.le_u (global.get $heap) (i32.mul (memory.size) (i32.const 65536))))
                    (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable))
                    (br $more)))
                  (local.get $at))
                (func (export "wasmill:plugin/lifecycle@0.1.0#describe") (result i32) (i32.const 16))
                (func (export "wasmill:plugin/lifecycle@0.1.0#configure") (param i32 i32) (result i32) {configure})
                (func (export "wasmill:plugin/lifecycle@0.1.0#migrate") (param i32 i32 i32 i32 i32) (result i32) {migrate})
                (func $look {look})
                {functions}
                {data})"#
        );
        wat::parse_str(text).expect("the test's WebAssembly text is valid")
    }

    /// The component.
    pub fn component(&self) -> Vec<u8> {
        self.component_of(&self.wit())
    }

    /// The WIT package of the component.
    pub fn wit(&self) -> String {
        format!("package test:guest; world guest {{ include wasmill:plugin/{}@0.1.0; }}", self.world)
    }

    /// The component for a WIT world `guest` of the test's own.
    pub fn component_of(&self, wit: &str) -> Vec<u8> {
        wrap(&self.core(), wit)
    }

    /// Loads the component, which must succeed.
    pub fn load(&self, host: &Host) -> Component {
        host.load("test.wasm", &self.component()).expect("the test's guest fits its world")
    }
}

/// Makes a component of a core module and a WIT package that has a world `guest` and may use the contract.
pub fn wrap(core: &[u8], wit: &str) -> Vec<u8> {
    encode(core, contract(), wit).expect("the core module fits its world")
}

/// The same for a module that may not fit.
pub fn try_wrap(core: &[u8], wit: &str) -> Option<Vec<u8>> {
    encode(core, contract(), wit).ok()
}

/// The same for a package that brings a contract of its own.
pub fn wrap_alone(core: &[u8], wit: &str) -> Vec<u8> {
    encode(core, Resolve::default(), wit).expect("the core module fits its world")
}

fn contract() -> Resolve {
    let mut resolve = Resolve::default();
    resolve.push_dir(WIT).expect("the contract parses");
    resolve
}

fn encode(core: &[u8], mut resolve: Resolve, wit: &str) -> Result<Vec<u8>, String> {
    let package = resolve.push_str("guest.wit", wit).expect("the test's WIT parses");
    let world = resolve.select_world(&[package], Some("guest")).expect("the test's WIT has a world `guest`");
    let mut core = core.to_vec();
    embed_component_metadata(&mut core, &resolve, world, StringEncoding::UTF8).expect("metadata fits the world");
    let words = |error| format!("{error:#}");
    let mut encoder = ComponentEncoder::default().validate(true).module(&core).map_err(words)?;
    encoder.encode().map_err(words)
}

/// Words as the text format writes bytes.
fn words(values: &[u32]) -> String {
    let mut escaped = String::new();
    for byte in values.iter().flat_map(|value| value.to_le_bytes()) {
        let _ = write!(escaped, "\\{byte:02x}");
    }
    escaped
}
