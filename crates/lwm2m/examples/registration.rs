//! What a Register request says, and which resources it makes known.

use lwm2m::registration::Register;
use lwm2m::{EndpointName, ModelView, Models, Path};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let query = [&b"ep=urn:imei:350077452003900"[..], b"lt=300", b"lwm2m=1.1", b"b=U", b"Q"];
    let payload = br#"</>;rt="oma.lwm2m";ct="60 110 11542",</3>;ver=1.1,</3/0>,</3303/0>"#;

    let register = Register::parse(query, payload)?;
    let endpoint = EndpointName::parse(register.endpoint.ok_or("no endpoint name")?)?;
    println!("{endpoint} registers for {:?}", register.lifetime?);
    println!("parameters {:?}", register.parameters);
    println!("queue mode {:?}", register.parameters.queue_mode());

    let Some(links) = register.links else { return Ok(()) };
    println!("object list {:?}", links.object_list().collect::<Vec<_>>());

    let models = Models::builtin();
    let enabler = register.parameters.lwm2m().and_then(|version| version.version());
    let view = ModelView::new(&models, links.objects()).with_enabler(enabler);
    for object in links.objects() {
        let model = view.object(object.object).ok_or("unknown object")?;
        println!("{} {} in version {}", model.id, model.name, model.version);
    }
    let path = Path::parse("/3/0/9")?;
    println!("{path} is {:?}", view.resource(&path).map(|resource| &resource.name));
    Ok(())
}
