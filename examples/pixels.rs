//! Decodes pictures for comparisons (tests/reference/corpus, benches/compare/decode.py): `pixels [--no-pixels]`.
//!
//! Reads a file name per line on stdin. Writes a line of JSON for each: `width`, `height`, `mode`, `orientation`, `warnings`
//! and `seconds` of decoding from memory, or `error`; after a picture, if wanted, its RGB samples, row by row.

use std::io::{BufRead, Write};
use std::path::Path;
use std::time::Instant;

use aaclip::image::{DecodeOptions, decode_bytes, read};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pixels = std::env::args().nth(1).is_none_or(|flag| flag != "--no-pixels");
    let options = DecodeOptions::default();
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let name = line?;
        let file = read(Path::new(&name), &options.limits)?;
        let started = Instant::now();
        let picture = decode_bytes(&file.bytes, Path::new(&name), &options);
        let seconds = started.elapsed().as_secs_f64();
        match picture {
            Ok(picture) => {
                let about = serde_json::json!({
                    "width": picture.width(), "height": picture.height(), "mode": format!("{:?}", picture.mode()),
                    "orientation": picture.decoding().orientation, "warnings": picture.decoding().warnings(),
                    "seconds": seconds,
                });
                writeln!(out, "{about}")?;
                if pixels {
                    out.write_all(picture.to_rgb().as_raw())?;
                }
            }
            Err(error) => writeln!(out, "{}", serde_json::json!({ "error": error.to_string() }))?,
        }
        out.flush()?;
    }
    Ok(())
}
