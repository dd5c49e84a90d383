import java.io.FileInputStream;
import java.net.HttpURLConnection;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import javax.net.ssl.HttpsURLConnection;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

public class Main {
    public static void main(String[] words) throws Exception {
        SSLContext context = words[1].isEmpty() ? SSLContext.getDefault() : only(words[1]);
        URI uri = URI.create(words[2]);
        if (words[0].equals("HttpClient")) {
            HttpClient client = HttpClient.newBuilder().sslContext(context).build();
            HttpRequest request = HttpRequest.newBuilder(uri).build();
            System.out.print(client.send(request, HttpResponse.BodyHandlers.ofString()).body());
        } else {
            HttpsURLConnection.setDefaultSSLSocketFactory(context.getSocketFactory());
            HttpURLConnection connection = (HttpURLConnection) uri.toURL().openConnection();
            System.out.print(new String(connection.getInputStream().readAllBytes()));
        }
    }

    /** Believes the authority of this file and nobody else. */
    static SSLContext only(String path) throws Exception {
        KeyStore trusted = KeyStore.getInstance(KeyStore.getDefaultType());
        trusted.load(null, null);
        try (FileInputStream file = new FileInputStream(path)) {
            var factory = CertificateFactory.getInstance("X.509");
            trusted.setCertificateEntry("ca", factory.generateCertificate(file));
        }
        TrustManagerFactory trust =
            TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(trusted);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, trust.getTrustManagers(), null);
        return context;
    }
}
