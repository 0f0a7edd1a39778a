package interop;

import java.io.InputStream;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;

import org.eclipse.californium.core.config.CoapConfig;
import org.eclipse.californium.elements.config.Configuration;
import org.eclipse.leshan.client.LeshanClient;
import org.eclipse.leshan.client.LeshanClientBuilder;
import org.eclipse.leshan.client.engine.DefaultRegistrationEngineFactory;
import org.eclipse.leshan.client.object.Device;
import org.eclipse.leshan.client.object.LwM2mTestObject;
import org.eclipse.leshan.client.object.Security;
import org.eclipse.leshan.client.object.Server;
import org.eclipse.leshan.client.resource.ObjectsInitializer;
import org.eclipse.leshan.client.resource.SimpleInstanceEnabler;
import org.eclipse.leshan.client.send.ManualDataSender;
import org.eclipse.leshan.client.servers.LwM2mServer;
import org.eclipse.leshan.core.model.ObjectLoader;
import org.eclipse.leshan.core.model.ObjectModel;
import org.eclipse.leshan.core.model.StaticModel;
import org.eclipse.leshan.core.node.LwM2mPath;
import org.eclipse.leshan.core.request.BindingMode;
import org.eclipse.leshan.core.request.ContentFormat;
import org.eclipse.leshan.core.request.argument.Arguments;
import org.eclipse.leshan.core.response.ExecuteResponse;
import org.eclipse.leshan.core.response.WriteResponse;
import org.eclipse.leshan.core.node.LwM2mResource;
import org.eclipse.leshan.transport.californium.client.endpoint.CaliforniumClientEndpointsProvider;
import org.eclipse.leshan.transport.californium.client.endpoint.coap.CoapClientProtocolProvider;

/**
 * A device made of Eclipse Leshan's client library, for interoperability tests.
 *
 * Arguments: endpoint name, server URI, preferred format (TLV, SENML_JSON, SENML_CBOR), lifetime in
 * seconds, and optionally "queue" for queue mode. It prints one line per thing that happened to it,
 * deregisters on the line "stop" or the end of its standard input, sends its temperature on "send",
 * updates its registration on "update". Everything else is asked of it over LwM2M.
 */
public final class LeshanDevice {
    public static void main(String[] args) throws Exception {
        String endpoint = args[0];
        String uri = args[1];
        ContentFormat format = ContentFormat.fromName(args[2]);
        long lifetime = Long.parseLong(args[3]);
        boolean queue = args.length > 4 && args[4].equals("queue");

        List<ObjectModel> models = new ArrayList<>(ObjectLoader.loadDefault());
        models.addAll(load("/models/3442.xml"));
        models.addAll(load("/models/temperature.xml"));
        ObjectsInitializer objects = new ObjectsInitializer(new StaticModel(models));
        EnumSet<BindingMode> binding = EnumSet.of(BindingMode.U);
        objects.setInstancesForObject(0, Security.noSec(uri, 12345));
        objects.setInstancesForObject(1, new Server(12345, lifetime, binding, false, BindingMode.U));
        objects.setInstancesForObject(3, new InteropDevice(binding));
        Thermometer thermometer = new Thermometer();
        objects.setInstancesForObject(3303, thermometer);
        objects.setClassForObject(3303, Thermometer.class);
        objects.setInstancesForObject(3442, new LwM2mTestObject());
        objects.setClassForObject(3442, LwM2mTestObject.class);
        for (int id : new int[] { 1, 3, 3303, 3442 }) {
            objects.setDefaultContentFormat(id, format);
        }

        DefaultRegistrationEngineFactory engine = new DefaultRegistrationEngineFactory();
        engine.setQueueMode(queue);
        engine.setRequestTimeoutInMs(20_000);
        ManualDataSender sender = new ManualDataSender();
        LeshanClientBuilder builder = new LeshanClientBuilder(endpoint);
        builder.setObjects(objects.createAll());
        builder.setRegistrationEngineFactory(engine);
        builder.setDataSenders(sender);
        CaliforniumClientEndpointsProvider.Builder transport =
                new CaliforniumClientEndpointsProvider.Builder(new CoapClientProtocolProvider());
        Configuration coap = transport.createDefaultConfiguration();
        coap.set(CoapConfig.MAX_RESOURCE_BODY_SIZE, 100_000);
        transport.setConfiguration(coap);
        builder.setEndpointsProviders(transport.build());
        LeshanClient client = builder.build();
        client.start();
        say("started " + endpoint);

        ScheduledExecutorService timer = Executors.newSingleThreadScheduledExecutor(task -> {
            Thread thread = new Thread(task);
            thread.setDaemon(true);
            return thread;
        });
        timer.scheduleAtFixedRate(thermometer::change, 1, 1, TimeUnit.SECONDS);
        obey(client, sender, format);
        timer.shutdown();
        registeredServer(client); // Without one there is nothing to deregister from.
        client.stop(true);
        say("stopped");
        System.exit(0);
    }

    private static void obey(LeshanClient client, ManualDataSender sender, ContentFormat format)
            throws Exception {
        java.io.BufferedReader input =
                new java.io.BufferedReader(new java.io.InputStreamReader(System.in));
        for (String line = input.readLine(); line != null && !line.equals("stop"); line =
                input.readLine()) {
            LwM2mServer server = registeredServer(client);
            if (line.equals("send")) {
                sender.collectData(List.of(new LwM2mPath("/3303/0/5700")));
                ContentFormat used =
                        format == ContentFormat.TLV ? ContentFormat.SENML_CBOR : format;
                sender.sendCollectedData(server, used, 5_000, false);
                say("sent");
            } else if (line.equals("update")) {
                client.triggerRegistrationUpdate(server);
            }
        }
    }

    /** The server, once the client has seen its answer: the application may be faster. */
    private static LwM2mServer registeredServer(LeshanClient client) throws InterruptedException {
        while (client.getRegisteredServers().isEmpty()) {
            Thread.sleep(20);
        }
        return client.getRegisteredServers().values().iterator().next();
    }

    private static List<ObjectModel> load(String name) throws Exception {
        try (InputStream stream = LeshanDevice.class.getResourceAsStream(name)) {
            return ObjectLoader.loadDdfFile(stream, name);
        }
    }

    private static synchronized void say(String line) {
        System.out.println(line);
        System.out.flush();
    }

    /** Object 3 of the library, whose reboot only counts. */
    public static final class InteropDevice extends Device {
        private int reboots;

        public InteropDevice() {
            this(EnumSet.of(BindingMode.U));
        }

        InteropDevice(EnumSet<BindingMode> binding) {
            super("Leshan", "interop", "1", binding);
        }

        @Override
        public ExecuteResponse execute(LwM2mServer server, int resource, Arguments arguments) {
            if (resource == 4) {
                reboots++;
                say("executed /3/0/4 " + reboots);
                return ExecuteResponse.success();
            }
            return super.execute(server, resource, arguments);
        }

        @Override
        public WriteResponse write(LwM2mServer server, boolean replace, int resource,
                LwM2mResource value) {
            WriteResponse response = super.write(server, replace, resource, value);
            say("written /3/0/" + resource + " " + value.getValue());
            return response;
        }
    }

    /** Object 3303, whose value changes each second. */
    public static final class Thermometer extends SimpleInstanceEnabler {
        private final Random random = new Random(1);

        public Thermometer() {
            super();
            initialValues = new java.util.HashMap<>();
            initialValues.put(5700, 20.5);
            initialValues.put(5601, 18.0);
            initialValues.put(5602, 30.0);
            initialValues.put(5603, -40.0);
            initialValues.put(5604, 125.0);
            initialValues.put(5701, "Cel");
        }

        void change() {
            double value = 20.0 + random.nextInt(100) / 10.0;
            java.util.Map<Integer, Object> values = new java.util.HashMap<>();
            values.put(5700, value);
            fireResourcesChange(applyValues(values));
        }
    }
}
