//! What authors of OmniRoute plugins in Rust write against.
//!
//! A plugin is a WebAssembly module that maps inputs to outputs. It does no
//! I/O, never waits and never sees a secret: what it wants done it returns, and
//! the gateway does it. A provider is a [`Plugin`] with a manifest and a hook
//! or two:
//!
//! ```ignore
//! use omniroute_plugin::{plugin, Call, Error, Plan, Plugin};
//!
//! #[derive(Default)]
//! struct Acme;
//!
//! impl Plugin for Acme {
//!     const MANIFEST: &'static str = include_str!("../manifest.json");
//!
//!     fn plan(&mut self, call: &Call, plan: &mut Plan) -> Result<(), Error> {
//!         plan.drop("logit_bias");
//!         plan.header("X-Acme-Region", &call.config("region"));
//!         Ok(())
//!     }
//! }
//!
//! plugin!(Acme);
//! ```
//!
//! Build it with plain rustc for `wasm32-unknown-unknown`, or with cargo; no
//! other crate is needed. The library is `no_std` with `alloc` and builds from
//! rustc 1.63 on.

#![no_std]
#![warn(missing_docs)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod abi;
mod error;
mod json;
mod module;
mod plan;
mod provider;
mod result;
#[cfg(test)]
mod tests;
pub mod tags;

pub use abi::{Field, Frame, FrameKind, Reader, Writer};
pub use error::Error;
pub use json::{escape, Json};
pub use module::{EndReason, Module};
pub use plan::{Local, Plan};
pub use provider::{Call, Document, Plugin, Reply, Stream, Usage};
pub use result::{error_of, retry_after_ms, Answer, Verdict};

/// What the gateway lends to every call: time, randomness, the text behind
/// body tokens and its log. Outside WebAssembly they answer like a gateway
/// that has nothing.
pub mod host {
    #[cfg(target_arch = "wasm32")]
    mod imports {
        #[link(wasm_import_module = "omni_v1")]
        extern "C" {
            pub fn log(level: u32, ptr: *const u8, len: u32);
            pub fn log_on(level: u32) -> u32;
            pub fn now_ms() -> i64;
            pub fn random(ptr: *mut u8, len: u32);
            pub fn blob_len(id: u32) -> i32;
            pub fn blob_read(id: u32, off: u32, ptr: *mut u8, len: u32) -> i32;
            pub fn kv_get(key: *const u8, len: u32) -> i64;
            pub fn kv_put(key: *const u8, len: u32, value: *const u8, value_len: u32, ttl_ms: i64) -> i32;
            pub fn kv_del(key: *const u8, len: u32) -> i32;
            pub fn secret_hmac(alg: u32, name: *const u8, len: u32, data: *const u8, data_len: u32) -> i64;
            pub fn secret_read(name: *const u8, len: u32) -> i64;
        }
    }

    #[cfg(not(target_arch = "wasm32"))]
    mod imports {
        pub unsafe fn log(_: u32, _: *const u8, _: u32) {}
        pub unsafe fn log_on(_: u32) -> u32 {
            0
        }
        pub unsafe fn now_ms() -> i64 {
            1_700_000_000_000
        }
        pub unsafe fn random(_: *mut u8, _: u32) {}
        pub unsafe fn blob_len(_: u32) -> i32 {
            -2
        }
        pub unsafe fn blob_read(_: u32, _: u32, _: *mut u8, _: u32) -> i32 {
            -2
        }
        pub unsafe fn kv_get(_: *const u8, _: u32) -> i64 {
            -1
        }
        pub unsafe fn kv_put(_: *const u8, _: u32, _: *const u8, _: u32, _: i64) -> i32 {
            -1
        }
        pub unsafe fn kv_del(_: *const u8, _: u32) -> i32 {
            -1
        }
        pub unsafe fn secret_hmac(_: u32, _: *const u8, _: u32, _: *const u8, _: u32) -> i64 {
            -1
        }
        pub unsafe fn secret_read(_: *const u8, _: u32) -> i64 {
            -1
        }
    }

    /// Levels of [`log`].
    pub const DEBUG: u32 = 0;
    /// Something worth knowing.
    pub const INFO: u32 = 1;
    /// Something to look into.
    pub const WARN: u32 = 2;
    /// Something that went wrong.
    pub const ERROR: u32 = 3;

    /// Writes a line to the gateway's log.
    pub fn log(level: u32, line: &str) {
        unsafe { imports::log(level, line.as_ptr(), line.len() as u32) }
    }

    /// Tells whether lines of a level are written at all.
    pub fn log_on(level: u32) -> bool {
        unsafe { imports::log_on(level) != 0 }
    }

    /// The time in Unix milliseconds, the same throughout a call.
    pub fn now_ms() -> i64 {
        unsafe { imports::now_ms() }
    }

    /// Fills a buffer with random bytes from the call's seed.
    pub fn random(buf: &mut [u8]) {
        unsafe { imports::random(buf.as_mut_ptr(), buf.len() as u32) }
    }

    /// The length of the text behind a body token, None if there is none.
    pub fn blob_len(id: u32) -> Option<usize> {
        let n = unsafe { imports::blob_len(id) };
        if n < 0 {
            None
        } else {
            Some(n as usize)
        }
    }

    /// Reads the text behind a body token from an offset on; returns how much
    /// was read.
    pub fn blob_read(id: u32, off: u32, buf: &mut [u8]) -> usize {
        let n = unsafe { imports::blob_read(id, off, buf.as_mut_ptr(), buf.len() as u32) };
        n.max(0) as usize
    }

    use crate::error::Error;
    use alloc::vec::Vec;

    const NOT_FOUND: i64 = -2;

    /// What a capability that was not lent says.
    fn lent(code: i64, what: &[&str]) -> Result<(), Error> {
        let (scope, word, text) = match code {
            0..=i64::MAX => return Ok(()),
            -2 => ("request", "not_found", " is not there"),
            -3 => ("request", "too_large", " is larger than it may be"),
            _ => ("plugin", "denied", " was not granted"),
        };
        let mut message = what.concat();
        message.push_str(text);
        Err(Error { scope: scope.into(), code: word.into(), ..Error::plugin(&message) })
    }

    /// Copies what the gateway wrote to the buffer for its results.
    fn given(packed: i64, what: &[&str]) -> Result<Vec<u8>, Error> {
        lent(packed, what)?;
        let (at, len) = ((packed >> 32) as u32 as usize, packed as u32 as usize);
        Ok(unsafe { core::slice::from_raw_parts(at as *const u8, len) }.to_vec())
    }

    /// Reads a value from the plugin's own store; None where there is none. The
    /// manifest has to ask for the capability `kv`.
    pub fn kv_get(key: &str) -> Result<Option<Vec<u8>>, Error> {
        match unsafe { imports::kv_get(key.as_ptr(), key.len() as u32) } {
            NOT_FOUND => Ok(None),
            packed => given(packed, &["kv"]).map(Some),
        }
    }

    /// Stores a value of at most 64 KiB; `ttl_ms` is its life in milliseconds,
    /// 0 = for ever. All values together have at most 1 MiB.
    pub fn kv_put(key: &str, value: &[u8], ttl_ms: i64) -> Result<(), Error> {
        let code = unsafe { imports::kv_put(key.as_ptr(), key.len() as u32, value.as_ptr(), value.len() as u32, ttl_ms) };
        lent(code as i64, &["kv value ", key])
    }

    /// Removes a value, also one that is not there.
    pub fn kv_delete(key: &str) -> Result<(), Error> {
        match unsafe { imports::kv_del(key.as_ptr(), key.len() as u32) } as i64 {
            NOT_FOUND => Ok(()),
            code => lent(code, &["kv"]),
        }
    }

    /// Algorithms of [`hmac`].
    pub const MD5: u32 = 1;
    /// SHA-1.
    pub const SHA1: u32 = 2;
    /// SHA-256.
    pub const SHA256: u32 = 3;
    /// SHA-512.
    pub const SHA512: u32 = 4;

    /// Computes a keyed digest with a secret of the account, which the plugin
    /// does not see. The manifest has to ask for the secret.
    pub fn hmac(algorithm: u32, secret: &str, data: &[u8]) -> Result<Vec<u8>, Error> {
        let packed = unsafe {
            imports::secret_hmac(algorithm, secret.as_ptr(), secret.len() as u32, data.as_ptr(), data.len() as u32)
        };
        given(packed, &["secret ", secret])
    }

    /// Reads a secret of the account. Operators grant this to few plugins;
    /// think of `{{secret:name}}`, auth directives and [`hmac`] first.
    pub fn secret(name: &str) -> Result<Vec<u8>, Error> {
        given(unsafe { imports::secret_read(name.as_ptr(), name.len() as u32) }, &["secret ", name])
    }
}

/// Makes a type the plugin of the crate: exports what the gateway calls, and
/// sends the text of a panic to its log before the guest dies.
#[macro_export]
macro_rules! plugin {
    ($plugin:ty) => {
        #[cfg(target_arch = "wasm32")]
        mod omniroute_exports {
            use super::*;
            use $crate::Module;

            // A guest has one thread.
            static mut MODULE: Option<Module<$plugin>> = None;

            unsafe fn module() -> &'static mut Module<$plugin> {
                let slot = &mut *core::ptr::addr_of_mut!(MODULE);
                if slot.is_none() {
                    std::panic::set_hook(std::boxed::Box::new(|info| {
                        $crate::host::log($crate::host::ERROR, &std::format!("{}", info));
                    }));
                    *slot = Some(Module::default());
                }
                match slot {
                    Some(m) => m,
                    None => core::hint::unreachable_unchecked(),
                }
            }

            #[no_mangle]
            pub extern "C" fn omni_abi() -> u32 {
                $crate::tags::ABI_VERSION
            }

            #[no_mangle]
            pub extern "C" fn omni_buf(slot: u32, size: u32) -> *mut u8 {
                unsafe { module().buffer(slot, size) }
            }

            #[no_mangle]
            pub extern "C" fn omni_call(op: u32, handle: u32, len: u32) -> u64 {
                unsafe { module().enter(op, handle, len) }
            }

            #[no_mangle]
            pub extern "C" fn omni_trim() {
                unsafe { module().trim() }
            }
        }
    };
}
