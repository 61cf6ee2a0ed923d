//! The scan function: plain Node-API, since it is called for every read and a method of a class costs five times as much.

use crate::framer::Scanner;
use msrp_core::frame::record::RECORD_WORDS;
use napi::bindgen_prelude::{Env, Error, JsValue, Result, Status, Unknown};
use napi::sys;
use std::cell::RefCell;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{self, NonNull};
use std::rc::Rc;
use std::slice;

/// Codes of a scan that has done nothing; `SCAN_ERROR` of `src/addon/contract.ts`.
mod code {
    pub const ARGUMENT: f64 = -1.0;
    pub const RANGE: f64 = -2.0;
    pub const RECORDS: f64 = -3.0;
    pub const BUSY: f64 = -4.0;
    pub const FAULT: f64 = -5.0;
}

/// Records that one call may fill, so that its result is a number that JavaScript has exactly.
const MAX_RECORDS: usize = 65_536;

/// What a scan function holds on to.
struct Bound {
    scanner: Rc<RefCell<Scanner>>,
    /// Strong reference to the `ArrayBuffer` of the records. Its memory is asked for in each call: it may be detached or resized.
    buffer: sys::napi_ref,
    /// Place of the records in that buffer, in bytes.
    offset: usize,
    /// Length of the records, in bytes.
    length: usize,
}

/// Makes the function for `records`, which must be a `Uint32Array` on an ordinary `ArrayBuffer`.
pub(crate) fn bind(env: Env, records: &Unknown, scanner: Rc<RefCell<Scanner>>) -> Result<Unknown<'static>> {
    let raw = env.raw();
    let mut info = Array::default();
    // SAFETY: `raw` is the environment of the call that we are in, and `records` a value of it.
    let is_array = unsafe { info.read(raw, records.raw()) };
    if !is_array || info.kind != sys::TypedarrayType::uint32_array {
        return Err(Error::new(Status::InvalidArg, "records must be a Uint32Array that is not shared"));
    }
    let bytes = info.length * size_of::<u32>();
    let mut bound = Box::new(Bound { scanner, buffer: ptr::null_mut(), offset: info.offset, length: bytes });
    let mut function = ptr::null_mut();
    // SAFETY: as above. The function gets a pointer to `bound`, which lives until the finalizer of the function frees it: the
    // function cannot be called any more by then. If the finalizer cannot be attached, the function is dropped unseen.
    unsafe {
        check(sys::napi_create_reference(raw, info.buffer, 1, &raw mut bound.buffer))?;
        let data = Box::into_raw(bound).cast::<c_void>();
        let mut status = sys::napi_create_function(raw, c"scan".as_ptr(), 4, Some(scan), data, &raw mut function);
        if status == sys::Status::napi_ok {
            status = sys::napi_add_finalizer(raw, function, data, Some(finalize), ptr::null_mut(), ptr::null_mut());
        }
        if status != sys::Status::napi_ok {
            finalize(raw, data, ptr::null_mut());
        }
        check(status)?;
        Ok(Unknown::from_raw_unchecked(raw, function))
    }
}

/// Frees what a scan function held.
///
/// # Safety
/// `data` comes from [`bind`], and nothing uses it after this call.
unsafe extern "C" fn finalize(env: sys::napi_env, data: *mut c_void, _hint: *mut c_void) {
    // SAFETY: see above.
    let bound = unsafe { Box::from_raw(data.cast::<Bound>()) };
    // SAFETY: the reference was made in this environment and is deleted once.
    unsafe { sys::napi_delete_reference(env, bound.buffer) };
}

/// `(bytes, from, to) => number`; see `scan_into`.
///
/// # Safety
/// Called by Node-API only, with the data of [`bind`].
unsafe extern "C" fn scan(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    let call = AssertUnwindSafe(|| {
        // SAFETY: `env` and `info` are those of this call.
        unsafe { call(env, info) }
    });
    let result = catch_unwind(call).unwrap_or(code::FAULT);
    let mut value = ptr::null_mut();
    // SAFETY: as above; on failure the value stays null, which is `undefined`.
    unsafe { sys::napi_create_double(env, result, &raw mut value) };
    value
}

/// # Safety
/// `env` and `info` are those of a call of a function made by [`bind`].
unsafe fn call(env: sys::napi_env, info: sys::napi_callback_info) -> f64 {
    let mut arguments = [ptr::null_mut(); 3];
    let mut count = arguments.len();
    let mut data = ptr::null_mut();
    // SAFETY: see above. Node-API fills what was not passed with `undefined`.
    let ok = unsafe { sys::napi_get_cb_info(env, info, &raw mut count, arguments.as_mut_ptr(), ptr::null_mut(), &raw mut data) };
    if ok != sys::Status::napi_ok {
        return code::FAULT;
    }
    // SAFETY: `data` is the pointer of `bind`, alive while its function can be called, and never borrowed mutably.
    let bound = unsafe { &*data.cast::<Bound>() };
    let [bytes, from, to] = arguments;
    let mut input = Array::default();
    let (mut start, mut end) = (0, 0);
    // SAFETY: the arguments are values of this call.
    let ok = unsafe {
        input.read(env, bytes)
            && input.kind == sys::TypedarrayType::uint8_array
            && sys::napi_get_value_uint32(env, from, &raw mut start) == sys::Status::napi_ok
            && sys::napi_get_value_uint32(env, to, &raw mut end) == sys::Status::napi_ok
    };
    if !ok {
        return code::ARGUMENT;
    }
    let (start, end) = (start as usize, end as usize);
    if start > end || end > input.length {
        return code::RANGE;
    }
    // SAFETY: the reference of `bound` is strong and of this environment.
    let Some(words) = (unsafe { bound.records(env) }) else { return code::RECORDS };
    let input_at = input.data.cast::<u8>().cast_const();
    let words_at = words.cast::<u8>().cast_const();
    if input_at.addr() < words_at.addr() + words.len() * size_of::<u32>() && words_at.addr() < input_at.addr() + input.length {
        return code::RECORDS;
    }
    // SAFETY: Node-API has just said that `length` bytes lie there. Nothing else touches them while Rust runs: the memory is not
    // shared with other threads (`Array::read`), not that of the records (above), and no JavaScript runs before this returns.
    let input = unsafe { slice_of(input_at, input.length) };
    // SAFETY: the same holds for the records, which this function alone has at hand.
    let words = unsafe { &mut *words };
    let Ok(mut scanner) = bound.scanner.try_borrow_mut() else { return code::BUSY };
    let outcome = scanner.scan(input, start, end, words);
    let flags = usize::from(outcome.pending) | usize::from(outcome.streaming) << 1;
    number(outcome.consumed) + TWO_TO_THE_32 * number(flags | outcome.count << 2)
}

const TWO_TO_THE_32: f64 = 4_294_967_296.0;

#[allow(clippy::cast_precision_loss, reason = "below 2^32: offsets and numbers of records")]
fn number(value: usize) -> f64 {
    value as f64
}

impl Bound {
    /// The words of the records as they lie now; `None` when the buffer was detached or has become too short.
    ///
    /// # Safety
    /// `env` is the environment of the current call.
    unsafe fn records(&self, env: sys::napi_env) -> Option<*mut [u32]> {
        if self.length == 0 {
            return Some(ptr::slice_from_raw_parts_mut(NonNull::dangling().as_ptr(), 0));
        }
        let (mut buffer, mut start, mut length) = (ptr::null_mut(), ptr::null_mut(), 0);
        // SAFETY: see above.
        let ok = unsafe {
            sys::napi_get_reference_value(env, self.buffer, &raw mut buffer) == sys::Status::napi_ok
                && sys::napi_get_arraybuffer_info(env, buffer, &raw mut start, &raw mut length) == sys::Status::napi_ok
        };
        if !ok || start.is_null() || length < self.offset.checked_add(self.length)? {
            return None;
        }
        // SAFETY: the offset lies within the buffer.
        let first = unsafe { start.byte_add(self.offset) }.cast::<u32>();
        let words = (self.length / size_of::<u32>()).min(MAX_RECORDS * RECORD_WORDS);
        first.is_aligned().then(|| ptr::slice_from_raw_parts_mut(first, words))
    }
}

/// A typed array, as Node-API describes it.
struct Array {
    kind: sys::napi_typedarray_type,
    /// In elements.
    length: usize,
    data: *mut c_void,
    buffer: sys::napi_value,
    /// In bytes.
    offset: usize,
}

impl Default for Array {
    fn default() -> Self {
        Self { kind: -1, length: 0, data: ptr::null_mut(), buffer: ptr::null_mut(), offset: 0 }
    }
}

impl Array {
    /// Reads `value`; false when it is no typed array, or one in shared memory, which other threads might write to.
    ///
    /// # Safety
    /// `env` is the environment of the current call, and `value` a value of it.
    unsafe fn read(&mut self, env: sys::napi_env, value: sys::napi_value) -> bool {
        let mut ordinary = false;
        // SAFETY: see above. A value of another kind is refused by Node-API with a status, not an exception.
        unsafe {
            sys::napi_get_typedarray_info(
                env,
                value,
                &raw mut self.kind,
                &raw mut self.length,
                &raw mut self.data,
                &raw mut self.buffer,
                &raw mut self.offset,
            ) == sys::Status::napi_ok
                && sys::napi_is_arraybuffer(env, self.buffer, &raw mut ordinary) == sys::Status::napi_ok
                && ordinary
        }
    }
}

/// The slice at `data`, empty when `length` is 0 whatever the pointer.
///
/// # Safety
/// `length` bytes at `data` may be read for as long as the slice lives.
unsafe fn slice_of<'a>(data: *const u8, length: usize) -> &'a [u8] {
    if length == 0 {
        return &[];
    }
    // SAFETY: see above.
    unsafe { slice::from_raw_parts(data, length) }
}

fn check(status: sys::napi_status) -> Result<()> {
    if status == sys::Status::napi_ok { Ok(()) } else { Err(Error::from_status(Status::from(status))) }
}
