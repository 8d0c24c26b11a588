;; Looks for what others have left in the memory and in the table that it gets, and traps if there is anything.
(module
  (memory (export "memory") 2)
  (table $marks 1 4096 funcref)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    ;; One region, used again by every call: nothing that it holds is looked at.
    (i32.const 1024))
  (func (export "wasmill:plugin/lifecycle@0.1.0#describe") (result i32) (i32.const 16))
  (func (export "wasmill:plugin/lifecycle@0.1.0#configure") (param i32 i32) (result i32) (i32.const 256))
  (func (export "wasmill:plugin/lifecycle@0.1.0#migrate") (param i32 i32 i32 i32 i32) (result i32) unreachable)
  (func (export "wasmill:plugin/transformer@0.1.0#transform")
    (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
    (local $at i32)
    (local $end i32)
    (drop (memory.grow (i32.const 62)))
    (local.set $at (i32.const 65536))
    (local.set $end (i32.mul (memory.size) (i32.const 65536)))
    (loop $memory
      (if (i64.ne (i64.load (local.get $at)) (i64.const 0)) (then unreachable))
      (local.set $at (i32.add (local.get $at) (i32.const 8)))
      (br_if $memory (i32.lt_u (local.get $at) (local.get $end))))
    (drop (table.grow $marks (ref.null func) (i32.const 4000)))
    (local.set $at (i32.const 0))
    (loop $table
      (if (i32.eqz (ref.is_null (table.get $marks (local.get $at)))) (then unreachable))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $table (i32.lt_u (local.get $at) (table.size $marks))))
    (i32.const 256))
  ;; The description: a name of 7 bytes at 64, a version of 5 at 71, no schema, no state. Zeros at 256: nothing is needed,
  ;; and every row stays as it came.
  (data (i32.const 16) "\40\00\00\00\07\00\00\00\47\00\00\00\05\00\00\00")
  (data (i32.const 64) "hostile0.1.0"))
