import com.hivemq.embedded.EmbeddedHiveMQ;
import java.nio.file.Path;

/** HiveMQ CE as a test part: java HiveMq FOLDER, with conf, data and extensions in the folder. */
public final class HiveMq {
    public static void main(final String[] arguments) throws Exception {
        final Path home = Path.of(arguments[0]);
        final EmbeddedHiveMQ broker = EmbeddedHiveMQ.builder()
                .withConfigurationFolder(home.resolve("conf"))
                .withDataFolder(home.resolve("data"))
                .withExtensionsFolder(home.resolve("extensions"))
                .build();
        broker.start().join();
        System.out.println("{\"event\": \"listening\"}");
        Thread.currentThread().join();
    }
}
