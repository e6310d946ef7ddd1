/* skops' schema by hand, and TensorFlow Lite's head. */
#include "told.h"

#include <string.h>

static struct bytes bytes;

static const char *tell(const char *content)
{
    bytes.length = 0;
    bytes_text(&bytes, "{\"__class__\": \"Pipeline\", \"__module__\": \"sklearn.pipeline\", \"__loader__\": "
                       "\"ObjectNode\", \"content\": ");
    bytes_text(&bytes, content);
    bytes_text(&bytes, ", \"protocol\": 2}");
    return bids(&format_skops, &bytes) ? told_bytes(&bytes) : "no bid\n";
}

static void test_schema(void)
{
    check_equal(tell("{}"), "is skops\ncreate sklearn.pipeline.Pipeline @0\n", "an object");
    check_line(tell("[{\"__loader__\": \"ObjectNode\", \"__module__\": \"os\", \"__class__\": \"path.join\"}]"),
               "create os:path.join content[0] @100", "keys in another order, a name with dots");
    check_line(tell("{\"__class__\": \"system\", \"__module__\": \"os\", \"__loader__\": \"FunctionNode\"}"),
               "import os.system content @99", "a function");
    check_line(tell("{\"__class__\": \"Popen\", \"__module__\": \"subprocess\", \"__loader__\": \"TypeNode\"}"),
               "import subprocess.Popen content @99", "a class itself");
    check_line(
        tell("{\"__class__\": \"system\", \"__module__\": \"os\", \"__loader__\": \"ListNode\", \"content\": []}"),
        "call os.system content @99", "a list of a kind of its own");
    check_equal(
        tell(
            "{\"__class__\": \"str\", \"__module__\": \"builtins\", \"__loader__\": \"JsonNode\", \"content\": \"1\"}"),
        "is skops\ncreate sklearn.pipeline.Pipeline @0\n", "data");
    damage_all(&bytes);
    bytes.length = 0;
    bytes_text(&bytes, "{\"__class__\": \"Pipeline\", \"__module__\": \"sklearn.pipeline\"}");
    check(!bids(&format_skops, &bytes), "other JSON with classes");
}

static void test_tflite(void)
{
    bytes.length = 0;
    bytes_le(&bytes, 16, 4);
    bytes_text(&bytes, "TFL3");
    bytes_fill(&bytes, 64);
    check(bids(&format_tflite, &bytes), "the identifier bids");
    check_equal(told_bytes(&bytes), "is tflite\n", "and is recognised");
    bytes.data[3] = 1;
    check(!bids(&format_tflite, &bytes), "not when its root lies behind the end");
}

int main(void)
{
    test_schema();
    test_tflite();
    return checks_end();
}
