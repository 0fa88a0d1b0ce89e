use std::sync::LazyLock;

use aaclip::adapters::{AaClipOptions, AdapterFile, AdapterFit, Method};
use aaclip::anchors::Anchors;
use aaclip::clip::{Checkpoint, ClipConfig};
use aaclip::train::TrainingState;
use aaclip::{Detector, DetectorMethod, DetectorSettings};
use candle_core::Device;
use ndarray::Array1;

use super::{model, scratch};

/// The model the adapters meet: its towers are as small as they get.
const CONFIG: &[u8] = br#"{"embed_dim": 2, "vision_cfg": {"image_size": 8, "layers": 2, "width": 2, "head_width": 1,
    "patch_size": 4}, "text_cfg": {"context_length": 8, "vocab_size": 8, "width": 2, "heads": 1, "layers": 2}}"#;

/// An adapter file in any form: read, shown, written, and put together with a model as `aaclip detect` does.
pub fn adapters(data: &[u8]) {
    static TINY: LazyLock<Checkpoint> = LazyLock::new(|| {
        let path = scratch::file("tiny/config.json", CONFIG);
        let config = ClipConfig::from_file(&path).expect("a configuration");
        model::open(path.parent().expect("a folder"), &config)
    });
    let Ok(mut file) = AdapterFile::read(&scratch::file("adapters.safetensors", data)) else { return };
    let _ = (file.holds(), file.method(), file.shapes().count(), file.tensors().count());
    file.header_mut().epochs.get_or_insert("1".to_owned());
    let copy = scratch::path("copy.safetensors");
    file.write(&copy).expect("a scratch file");
    let again = AdapterFile::read(&copy).expect("a file this program wrote");
    assert_eq!(again.digest(), file.digest());

    let config = TINY.config();
    let fit = AdapterFit::new(&file, config, &Device::Cpu);
    let options = AaClipOptions::default();
    let _ = (fit.text(&options), fit.linear().map(drop));
    let Ok(image) = fit.image(&options, Method::AaClip) else { return };
    let header = file.header();
    let (image_size, levels) = (header.image_size, header.levels.clone());
    let settings = DetectorSettings { image_size, levels, ..DetectorSettings::default() };
    let anchors = Anchors { normal: Array1::zeros(2), abnormal: Array1::ones(2) };
    let _ = Detector::new(&TINY, &anchors, DetectorMethod::AaClip(image), &settings, &Device::Cpu);
}

/// The state of a training that was interrupted.
pub fn training_state(data: &[u8]) {
    let Ok(state) = TrainingState::read(&scratch::file("training.state", data)) else { return };
    let copy = scratch::path("copy.state");
    state.write(&copy).expect("a scratch file");
    TrainingState::read(&copy).expect("a state this program wrote");
}
