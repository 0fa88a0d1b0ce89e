use std::sync::{Arc, LazyLock};

use aaclip::clip::{Checkpoint, ClipConfig};
use aaclip::methods::{METHODS, Setup, Trained};
use aaclip::train::TrainingState;

use super::{model, scratch};

/// The model the adapters meet: its towers are as small as they get.
const CONFIG: &[u8] = br#"{"embed_dim": 2, "vision_cfg": {"image_size": 8, "layers": 2, "width": 2, "head_width": 1,
    "patch_size": 4}, "text_cfg": {"context_length": 8, "vocab_size": 8, "width": 2, "heads": 1, "layers": 2}}"#;

/// An adapter file in any form: read, shown, written, and put together with a model as `aaclip detect` does.
pub fn adapters(data: &[u8]) {
    static TINY: LazyLock<Arc<Checkpoint>> = LazyLock::new(|| {
        let path = scratch::file("tiny/config.json", CONFIG);
        let config = ClipConfig::from_file(&path).expect("a configuration");
        Arc::new(model::open(path.parent().expect("a folder"), &config))
    });
    let Ok(mut file) = Trained::read(&scratch::file("adapters.safetensors", data), None) else { return };
    let _ = (file.holds(), file.shapes().len(), file.tensors().count());
    file.header_mut().set_default("epochs", "1");
    let copy = scratch::path("copy.safetensors");
    file.write(&copy).expect("a scratch file");
    let again = Trained::read(&copy, Some(file.method())).expect("a file this program wrote");
    assert_eq!(again.digest(), file.digest());

    let file = Arc::new(file);
    for method in METHODS.iter().filter(|m| m.trained.is_some()) {
        let mut setup = Setup::new(method, Arc::clone(&TINY));
        setup.trained = Some(Arc::clone(&file));
        let _ = (method.load)(&setup);
    }
}

/// The state of a training that was interrupted.
pub fn training_state(data: &[u8]) {
    let Ok(state) = TrainingState::read(&scratch::file("training.state", data)) else { return };
    let copy = scratch::path("copy.state");
    state.write(&copy).expect("a scratch file");
    TrainingState::read(&copy).expect("a state this program wrote");
}
