/* Whatever a device says of itself: URLs stay at the host that was asked, and words are words. */
#include "wire/upnp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char url[] = "http://10.0.0.254:5000/root.xml";
    char location[UPNP_URL_MAX];
    upnp_service_t s;
    uint8_t ip[4];
    bytes_t in = bytes_of(data, size);
    if (!ssdp_decode(in, location))
        assert(!strncmp(location, "http://", 7) && strlen(location) < sizeof location);
    if (!upnp_find_service(in, url, &s)) {
        assert(!strncmp(s.control_url, "http://10.0.0.254:5000/", 23));
        for (const char *p = s.control_url; *p; p++)
            assert(*p > ' ' && *p <= '~');
        assert(strstr(s.type, "WANIPConnection") || strstr(s.type, "WANPPPConnection"));
    }
    (void)!upnp_decode_address(in, ip);
    upnp_error_code(in);
    return 0;
}
