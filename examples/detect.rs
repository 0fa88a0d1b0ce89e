//! A detector in ten lines: `cargo run --release --example detect -- MODEL_DIR PICTURE [ADAPTERS]`.

use std::path::Path;

use aaclip::adapters::{AaClipOptions, AdapterFile, AdapterFit, Method};
use aaclip::anchors::{AnchorCache, AnchorRequest, PromptSet, Representative, text_anchors};
use aaclip::clip::Checkpoint;
use aaclip::image::{DecodeOptions, decode};
use aaclip::{Detection, Detector, DetectorMethod, DetectorSettings};
use candle_core::Device;

/// CLIP-AD's SDP: no training, any CLIP ViT.
pub fn sdp(model: &Path, picture: &Path, class: &str, cache: &AnchorCache) -> aaclip::Result<Detection> {
    let model = Checkpoint::open(model)?;
    let request = AnchorRequest::new(PromptSet::load("clip-ad")?, class, Representative::Mean);
    let anchors = text_anchors(&model, &request, cache, &Device::Cpu)?;
    let settings = DetectorSettings::default();
    let detector = Detector::new(&model, &anchors, DetectorMethod::Sdp, &settings, &Device::Cpu)?;
    detector.detect(&decode(picture, &DecodeOptions::default())?)
}

/// AA-CLIP: the same with trained adapters.
pub fn aa_clip(
    model: &Path,
    picture: &Path,
    class: &str,
    adapters: &Path,
    cache: &AnchorCache,
) -> aaclip::Result<Detection> {
    let (model, file) = (Checkpoint::open(model)?, AdapterFile::read(adapters)?);
    let fit = AdapterFit::new(&file, model.config(), &Device::Cpu);
    let options = AaClipOptions::default();
    let method = DetectorMethod::AaClip(fit.image(&options, Method::AaClip)?);
    let request = AnchorRequest::aa_clip(PromptSet::load("aa-clip")?, class, fit.text(&options)?);
    let anchors = text_anchors(&model, &request, cache, &Device::Cpu)?;
    let detector = Detector::new(&model, &anchors, method, &DetectorSettings::default(), &Device::Cpu)?;
    detector.detect(&decode(picture, &DecodeOptions::default())?)
}

#[allow(dead_code, reason = "tests use the functions alone")]
fn main() -> aaclip::Result<()> {
    let arguments: Vec<std::path::PathBuf> = std::env::args_os().skip(1).map(Into::into).collect();
    let cache = AnchorCache::new();
    let found = match &arguments[..] {
        [model, picture] => sdp(model, picture, "object", &cache)?,
        [model, picture, adapters] => aa_clip(model, picture, "object", adapters, &cache)?,
        _ => return Err(aaclip::Error::Setting("usage: detect MODEL_DIR PICTURE [ADAPTERS]".to_owned())),
    };
    println!(
        "score {}, highest probability {:?}",
        found.score,
        found.probabilities().iter().copied().reduce(f32::max)
    );
    Ok(())
}
