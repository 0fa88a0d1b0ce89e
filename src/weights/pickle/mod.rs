//! A pickle machine that only builds values.
//!
//! A pickle is a program for a stack machine. Python's machine runs any function that the program names. This
//! machine knows a fixed list of names ([`call`]), each with a harmless meaning, and refuses all others.
//! Memory and time are linear in the length of the pickle and limited; copies made by calls count against an
//! allowance.

mod call;
mod reader;
mod value;

use std::collections::HashMap;

use reader::Reader;
pub(super) use value::{Arena, Id, TensorView, Value};

/// The reason why a pickle was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PickleError {
    /// It names a function that is not on the list.
    Forbidden(String),
    /// It violates the format at this byte.
    Malformed(usize, String),
}

type Result<T> = std::result::Result<T, PickleError>;

/// Pickles of checkpoints list tensors and are small.
const LONGEST: usize = 64 << 20;

/// A checkpoint needs about 40 steps per tensor.
const MOST_STEPS: usize = 1 << 23;

/// Bytes of existing values that calls may copy, in addition to a multiple of the pickle's length: a few
/// bytes of a pickle can request another copy of its longest list or text.
const LEAST_ALLOWANCE: usize = 1 << 20;

/// Runs the pickle at the start of `bytes`; also returns its length.
pub(super) fn load(bytes: &[u8]) -> Result<(Arena, Id, usize)> {
    let bytes = &bytes[..bytes.len().min(LONGEST)];
    let mut machine = Machine {
        reader: Reader::new(bytes),
        allowance: LEAST_ALLOWANCE + 8 * bytes.len(),
        arena: Arena::default(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
    };
    let root = machine.run()?;
    let end = machine.reader.position();
    Ok((machine.arena, root, end))
}

struct Machine<'a> {
    reader: Reader<'a>,
    /// Bytes that may still be copied.
    allowance: usize,
    arena: Arena,
    stack: Vec<Id>,
    /// Heights of the stack at open marks.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

impl Machine<'_> {
    fn run(&mut self) -> Result<Id> {
        for _ in 0..MOST_STEPS {
            let opcode = self.reader.byte()?;
            if opcode == b'.' {
                return self.pop();
            }
            self.step(opcode)?;
        }
        Err(self.malformed("more steps than any checkpoint takes"))
    }

    fn step(&mut self, opcode: u8) -> Result<()> {
        match opcode {
            0x80 => drop(self.reader.take(1)?),
            0x95 => drop(self.reader.take(8)?),
            b'(' => self.marks.push(self.stack.len()),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.pop_to_mark()?),
            b'2' => {
                let top = self.pop()?;
                self.stack.extend([top, top]);
            }
            b'N' => self.push(Value::None),
            0x88 => self.push(Value::Bool(true)),
            0x89 => self.push(Value::Bool(false)),
            b'J' => {
                let n = i32::from_le_bytes(self.reader.array()?);
                self.push(Value::Int(n.into()));
            }
            b'K' => {
                let n = self.reader.byte()?;
                self.push(Value::Int(n.into()));
            }
            b'M' => {
                let n = u16::from_le_bytes(self.reader.array()?);
                self.push(Value::Int(n.into()));
            }
            0x8a | 0x8b | b'I' | b'L' => {
                let value = self.reader.long(opcode)?;
                self.push(value);
            }
            b'G' => {
                let x = f64::from_be_bytes(self.reader.array()?);
                self.push(Value::Float(x));
            }
            b'F' => {
                let x = self.reader.line()?.parse().map_err(|_| self.malformed("an invalid number"))?;
                self.push(Value::Float(x));
            }
            b'U' | b'T' | b'X' | 0x8c | 0x8d | b'V' | b'S' => {
                let text = self.reader.text(opcode)?;
                self.push(Value::Text(text));
            }
            b'C' | b'B' | 0x8e | 0x96 => {
                self.reader.bytes(opcode)?;
                self.push(Value::Opaque);
            }
            b')' => self.push(Value::Tuple(vec![])),
            b't' => {
                let items = self.pop_to_mark()?;
                self.push(Value::Tuple(items));
            }
            0x85..=0x87 => {
                let items = self.pop_many(usize::from(opcode - 0x84))?;
                self.push(Value::Tuple(items));
            }
            b']' | 0x8f => self.push(Value::List(vec![])),
            b'l' | 0x91 => {
                let items = self.pop_to_mark()?;
                self.push(Value::List(items));
            }
            b'a' => {
                let item = self.pop()?;
                self.extend_list(vec![item])?;
            }
            b'e' | 0x90 => {
                let items = self.pop_to_mark()?;
                self.extend_list(items)?;
            }
            b'}' => self.push(Value::Dict(vec![])),
            b'd' => {
                let items = self.pop_to_mark()?;
                self.push(Value::Dict(vec![]));
                self.extend_dict(items)?;
            }
            b's' => {
                let pair = self.pop_many(2)?;
                self.extend_dict(pair)?;
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                self.extend_dict(items)?;
            }
            b'c' => {
                let (module, name) = (self.reader.line()?, self.reader.line()?);
                let global = format!("{module}.{name}");
                self.push(Value::Global(global));
            }
            0x93 => self.stack_global()?,
            b'R' | 0x81 => {
                let parts = self.pop_many(2)?;
                self.apply(parts[0], parts[1])?;
            }
            0x92 => {
                let parts = self.pop_many(3)?;
                self.apply(parts[0], parts[1])?;
            }
            b'b' => {
                let state = self.pop()?;
                let object = self.top()?;
                // The state of other objects (the `_metadata` of an OrderedDict) is not needed.
                if let Value::Object { state: slot, .. } = self.arena.get_mut(object) {
                    *slot = Some(state);
                }
            }
            b'p' | b'q' | b'r' | 0x94 => {
                let index = match opcode {
                    0x94 => self.memo.len() as u32,
                    _ => self.reader.memo_index(opcode)?,
                };
                let top = self.top()?;
                self.memo.insert(index, top);
            }
            b'g' | b'h' | b'j' => {
                let index = self.reader.memo_index(opcode)?;
                let id = self.memo.get(&index).copied();
                self.stack.push(id.ok_or_else(|| self.malformed("a value that was never stored"))?);
            }
            b'Q' => {
                let id = self.pop()?;
                let storage = call::storage(&self.arena, id).map_err(|what| self.malformed(&what))?;
                self.push_copied(Value::Storage(storage))?;
            }
            other => return Err(self.malformed(&format!("the unknown opcode 0x{other:02x}"))),
        }
        Ok(())
    }

    fn stack_global(&mut self) -> Result<()> {
        let parts = self.pop_many(2)?;
        match (self.arena.get(parts[0]), self.arena.get(parts[1])) {
            (Value::Text(module), Value::Text(name)) => {
                let global = format!("{module}.{name}");
                self.push_copied(Value::Global(global))
            }
            _ => Err(self.malformed("a name that is not text")),
        }
    }

    /// Calls a function on the list, or makes an object of a class on the list.
    fn apply(&mut self, function: Id, arguments: Id) -> Result<()> {
        let Value::Global(name) = self.arena.get(function) else {
            return Err(self.malformed("a call of a value that is not a function"));
        };
        let arguments = match self.arena.get(arguments) {
            Value::Tuple(items) => items.as_slice(),
            _ => return Err(self.malformed("a call without a tuple of arguments")),
        };
        match call::call(&self.arena, name, arguments) {
            Ok(call::Outcome::New(value)) => self.push_copied(value)?,
            Ok(call::Outcome::Existing(id)) => self.stack.push(id),
            Err(call::Refusal::Unknown(name)) => return Err(PickleError::Forbidden(name)),
            Err(call::Refusal::Arguments(what)) => return Err(self.malformed(&what)),
        }
        Ok(())
    }

    fn extend_list(&mut self, items: Vec<Id>) -> Result<()> {
        let list = self.top()?;
        match self.arena.get_mut(list) {
            Value::List(values) => values.extend(items),
            Value::Opaque => {}
            _ => return Err(self.malformed("items for a value that is not a list")),
        }
        Ok(())
    }

    fn extend_dict(&mut self, items: Vec<Id>) -> Result<()> {
        let dict = self.top()?;
        let (pairs, rest) = items.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(self.malformed("a key without a value"));
        }
        match self.arena.get_mut(dict) {
            Value::Dict(entries) => entries.extend(pairs.iter().map(|&[key, value]| (key, value))),
            Value::Opaque => {}
            _ => return Err(self.malformed("entries for a value that is not a dictionary")),
        }
        Ok(())
    }

    fn push(&mut self, value: Value) {
        let id = self.arena.add(value);
        self.stack.push(id);
    }

    /// Pushes a call's copy of existing values, which a pickle can request repeatedly.
    fn push_copied(&mut self, value: Value) -> Result<()> {
        let left = self.allowance.checked_sub(value.bytes());
        self.allowance =
            left.ok_or_else(|| self.malformed("more copies of its values than any checkpoint"))?;
        self.push(value);
        Ok(())
    }

    /// Values below the last mark are not accessible until it is removed.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn top(&self) -> Result<Id> {
        match self.stack.get(self.floor()..).and_then(<[Id]>::last) {
            Some(&id) => Ok(id),
            None => Err(self.malformed("a step that needs a value when the stack is empty")),
        }
    }

    fn pop(&mut self) -> Result<Id> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn pop_many(&mut self, count: usize) -> Result<Vec<Id>> {
        match self.stack.len().checked_sub(count) {
            Some(start) if start >= self.floor() => Ok(self.stack.split_off(start)),
            _ => Err(self.malformed("a step that needs more values than the stack has")),
        }
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>> {
        match self.marks.pop() {
            Some(mark) if mark <= self.stack.len() => Ok(self.stack.split_off(mark)),
            _ => Err(self.malformed("a missing mark")),
        }
    }

    fn malformed(&self, what: &str) -> PickleError {
        PickleError::Malformed(self.reader.position(), what.to_owned())
    }
}
