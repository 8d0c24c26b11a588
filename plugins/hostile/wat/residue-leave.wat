;; Fills all the memory and all of the table that it can get with what others must never see.
(module
  (memory (export "memory") 2)
  (table $marks 1 4096 funcref)
  (elem declare func $mark)
  (func $mark)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    ;; One region, used again by every call: nothing that it holds is looked at.
    (i32.const 1024))
  (func (export "wasmill:plugin/lifecycle@0.1.0#describe") (result i32) (i32.const 16))
  (func (export "wasmill:plugin/lifecycle@0.1.0#configure") (param i32 i32) (result i32) (i32.const 256))
  (func (export "wasmill:plugin/lifecycle@0.1.0#migrate") (param i32 i32 i32 i32 i32) (result i32) unreachable)
  (func (export "wasmill:plugin/transformer@0.1.0#transform")
    (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
    (drop (memory.grow (i32.const 62)))
    (memory.fill
      (i32.const 65536)
      (i32.const 0xC5)
      (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 65536)))
    (drop (table.grow $marks (ref.func $mark) (i32.const 4000)))
    (i32.const 256))
  ;; The description: a name of 7 bytes at 64, a version of 5 at 71, no schema, no state. Zeros at 256: nothing is needed,
  ;; and every row stays as it came.
  (data (i32.const 16) "\40\00\00\00\07\00\00\00\47\00\00\00\05\00\00\00")
  (data (i32.const 64) "hostile0.1.0"))
