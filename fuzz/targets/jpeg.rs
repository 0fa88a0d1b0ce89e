#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| aaclip_fuzz::bodies::jpeg(data));
