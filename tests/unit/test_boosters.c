/* XGBoost's three forms and LightGBM's text, by hand; texts that only resemble them. */
#include "told.h"

#include <string.h>

static struct bytes bytes;

static const char *said(const char *text)
{
    bytes.length = 0;
    bytes_text(&bytes, text);
    return told_bytes(&bytes);
}

static void test_xgboost_texts(void)
{
    static const char start[] = "{L\0\0\0\0\0\0\0\7learner{";
    check_equal(said("{\"learner\":{\"attributes\":{},\"gradient_booster\":{\"model\":{}}},\"version\":[3,2,0]}\n"),
                "is xgboost\n", "JSON");
    damage_all(&bytes);
    check_equal(said("{\"learner\":{\"attributes\":{},\"gradient_booster\":{\"model\":"),
                "is xgboost\nmalformed xgboost-truncated @56\n", "JSON that breaks off");
    check_equal(said("{\"learner\":{\"name\":\"a student\"},\"version\":[1,0]}"), "not-model\n", "another learner");
    check_equal(said("{\"learners\":{\"gradient_booster\":{}}}"), "not-model\n", "another key");
    /* Names of features fill the view; what follows stands at the end. */
    bytes.length = 0;
    bytes_text(&bytes, "{\"learner\":{\"attributes\":{},\"feature_names\":[");
    while (bytes.length < 9000)
        bytes_text(&bytes, "\"a long name\",");
    bytes_text(&bytes, "\"x\"],\"objective\":{\"name\":\"reg:linear\"}},\"version\":[3,2,0]}");
    check_equal(told_bytes(&bytes), "is xgboost\n", "JSON with many features");
    bytes.length = 0;
    bytes_put(&bytes, start, sizeof start - 1);
    bytes_text(&bytes, "}}");
    check_equal(told_bytes(&bytes), "is xgboost\n", "UBJSON");
    bytes.data[bytes.length - 1] = 'x';
    check_equal(told_bytes(&bytes), "is xgboost\nmalformed xgboost-truncated @20\n", "UBJSON that breaks off");
}

static void binary(const char *magic, const char *objective, const char *booster)
{
    bytes.length = 0;
    bytes_text(&bytes, magic);
    bytes_fill(&bytes, bytes.length + 136);
    bytes_le(&bytes, strlen(objective), 8);
    bytes_text(&bytes, objective);
    bytes_le(&bytes, strlen(booster), 8);
    bytes_text(&bytes, booster);
    bytes_fill(&bytes, bytes.length + 200);
}

static void test_xgboost_binary(void)
{
    binary("", "binary:logistic", "gbtree");
    check_equal(told_bytes(&bytes), "is xgboost\n", "the old form");
    damage_all(&bytes);
    binary("binf", "reg:linear", "dart");
    check_equal(told_bytes(&bytes), "is xgboost\n", "with a name of its own");
    binary("", "reg\001linear", "gbtree");
    check_equal(told_bytes(&bytes), "not-model\n", "an objective that is no name");
    binary("", "reg:linear", "gbforest");
    check_equal(told_bytes(&bytes), "not-model\n", "an unknown booster");
}

static void test_lightgbm(void)
{
    check_equal(
        said("tree\nversion=v4\nnum_class=1\ntree_sizes=3 4\n\nabc1234end of trees\n\nparameters:\n[data: "
             "../train.csv]\n"
             "[output_model: out.txt]\n[machines: 10.0.0.1:80]\n[forcedsplits_filename: ]\nend of parameters\n"),
        "is lightgbm\nread ../train.csv data @77\nconnect 10.0.0.1:80 machines @122\n", "a model");
    damage_all(&bytes);
    check_equal(said("tree\nversion=v4\ntree_sizes=300\n\nabc"), "is lightgbm\nmalformed lightgbm-truncated @32\n",
                "trees that are missing");
    check_equal(said("tree\nversion=v4\ntree_sizes=3"), "is lightgbm\nmalformed lightgbm-truncated @28\n",
                "a header that breaks off");
    check_equal(said("tree\nversion=4\n"), "not-model\n", "another tree");
}

int main(void)
{
    test_xgboost_texts();
    test_xgboost_binary();
    test_lightgbm();
    return checks_end();
}
