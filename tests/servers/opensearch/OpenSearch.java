import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.opensearch.common.settings.Settings;
import org.opensearch.env.Environment;
import org.opensearch.node.InternalSettingsPreparer;
import org.opensearch.node.Node;
import org.opensearch.plugins.Plugin;

/**
 * One OpenSearch node on the loopback address, for tests: plain HTTP, no security plugin, data in a folder of its own.
 * It starts the node object directly, so the checks of the packaged server (root, memory lock, file handles) do not run.
 * Arguments: folder, HTTP port. Runs until it is killed.
 */
final class OpenSearch extends Node {
    /** What the packaged server has as modules; without the first there is no HTTP. */
    private static final List<Class<? extends Plugin>> MODULES = List.of(
        org.opensearch.transport.Netty4Plugin.class,
        org.opensearch.analysis.common.CommonAnalysisPlugin.class,
        org.opensearch.geo.GeoModulePlugin.class,
        org.opensearch.index.mapper.MapperExtrasPlugin.class,
        org.opensearch.index.reindex.ReindexPlugin.class,
        org.opensearch.painless.PainlessPlugin.class
    );

    private OpenSearch(Environment environment) {
        super(environment, MODULES, false);
    }

    public static void main(String[] arguments) throws Exception {
        Path home = Path.of(arguments[0]).toAbsolutePath();
        Settings settings = Settings.builder()
            .put("path.home", home.toString())
            .put("node.name", "wasmill-tests")
            .put("cluster.name", "wasmill-tests")
            .put("discovery.type", "single-node")
            .put("network.host", "127.0.0.1")
            .put("http.port", arguments[1])
            .put("transport.port", "0")
            // The default refuses to allocate shards on a disk that is 85 % full.
            .put("cluster.routing.allocation.disk.threshold_enabled", false)
            .build();
        Environment environment = InternalSettingsPreparer.prepareEnvironment(settings, Map.of(), home, () -> "wasmill-tests");
        new OpenSearch(environment).start();
        Thread.currentThread().join();
    }
}
