/*
 * Devices and messages of each mode of the text driver.  See text_samples.h.
 *
 * The messages are those that the documents show or that others have captured: the NMEA sentences that every manual
 * has, a telegram of a Dutch meter, a block of a charger, frames of a French meter; the checks of all of them are their
 * own, so that they prove more than that we agree with ourselves.
 */
#include "text_samples.h"

#include <stddef.h>

static void gps(struct text_bench *bench)
{
	text_bench_start(bench, "text.start", "$!", "text.check.kind", "xor8", "text.check.until", "*", NULL);
	text_bench_message(bench, "gga", "match.column", "0", "match.like", "G?GGA", NULL);
	text_bench_metric(bench, "lat", "column", "2", "type", "nmea_angle", "sign", "3", NULL);
	text_bench_metric(bench, "lon", "column", "4", "type", "nmea_angle", "sign", "5", NULL);
	text_bench_metric(bench, "sats", "column", "7", "type", "int", NULL);
	text_bench_message(bench, "rmc", "match.column", "0", "match.like", "G?RMC", NULL);
	text_bench_metric(bench, "speed", "column", "7", NULL);
}

static void csv(struct text_bench *bench)
{
	text_bench_start(bench, "text.split", ";", "text.ignore", "#", NULL);
	text_bench_message(bench, "row", "match.columns", "3", NULL);
	text_bench_metric(bench, "t", "column", "0", NULL);
	text_bench_metric(bench, "h", "column", "1", NULL);
	text_bench_metric(bench, "p", "column", "2", NULL);
}

static void csv_crc(struct text_bench *bench)
{
	text_bench_start(bench, "text.check.kind", "crc16-modbus", "text.check.until", "*", NULL);
	text_bench_metric(bench, "a", "column", "0", NULL);
	text_bench_metric(bench, "b", "column", "1", NULL);
}

static void json(struct text_bench *bench)
{
	text_bench_start(bench, "text.keys", "json", NULL);
	text_bench_message(bench, "climate", "match.key", "kind", "match.like", "clim*", NULL);
	text_bench_metric(bench, "t", "key", "t", NULL);
	text_bench_message(bench, "rest", NULL);
	text_bench_metric(bench, "x", "key", "h.x", "type", "int", NULL);
}

static void p1(struct text_bench *bench)
{
	text_bench_start(bench, "text.block.begin", "/", "text.block.end", "!", "text.keys", "obis", "text.check.kind",
		"crc16-arc", NULL);
	text_bench_metric(bench, "import", "key", "1-0:1.8.1", "in", "kWh", NULL);
	text_bench_metric(bench, "power", "key", "1-0:1.7.0", "in", "kW", NULL);
	text_bench_metric(bench, "gas", "key", "0-1:24.2.1", "in", "m3", NULL);
	text_bench_metric(bench, "meter", "key", "0-0:96.1.1", "type", "hex_text", NULL);
	text_bench_metric(bench, "note", "key", "0-0:96.13.0", "type", "text", NULL);
}

static void p1_v2(struct text_bench *bench)
{
	text_bench_start(bench, "text.block.begin", "/", "text.block.end", "!", "text.keys", "obis", NULL);
	text_bench_metric(bench, "import", "key", "1-0:1.8.1", NULL);
	text_bench_metric(bench, "gas", "key", "0-1:24.3.0", NULL);
}

static void bcc(struct text_bench *bench)
{
	text_bench_start(bench, "text.block.begin", "\x02", "text.block.end", "\x03", "text.keys", "obis",
		"text.check.kind", "bcc", NULL);
	text_bench_metric(bench, "e", "key", "1.8.0", NULL);
}

static void teleinfo(struct text_bench *bench)
{
	text_bench_start(bench, "text.block.begin", "\x02", "text.block.end", "\x03", "text.keys", "pairs",
		"text.check.kind", "teleinfo", "text.check.each", "line", NULL);
	text_bench_metric(bench, "id", "key", "ADCO", "type", "text", NULL);
	text_bench_metric(bench, "hc", "key", "HCHC", "type", "int", NULL);
	text_bench_metric(bench, "va", "key", "PAPP", "type", "int", NULL);
	text_bench_metric(bench, "base", "key", "BASE", "type", "int", NULL);
	text_bench_metric(bench, "now", "key", "PTEC", "type", "text", NULL);
}

static void linky(struct text_bench *bench)
{
	text_bench_start(bench, "text.block.begin", "\x02", "text.block.end", "\x03", "text.keys", "pairs",
		"text.split", "\t", "text.check.kind", "teleinfo", "text.check.each", "line", NULL);
	text_bench_metric(bench, "va", "key", "SINSTS", "type", "int", NULL);
	text_bench_metric(bench, "most", "key", "SMAXSN", "column", "2", "type", "int", NULL);
	text_bench_metric(bench, "tariff", "key", "NGTF", "type", "text", NULL);
}

static const char *const first_keys[] = {"PID", "H1", NULL};

static void ve_direct(struct text_bench *bench)
{
	text_bench_start(bench, "text.block.end_key", "Checksum", "text.block.begin_key", (const void *)first_keys,
		"text.keys", "pairs", "text.split", "\t", "text.ignore", ":", "text.check.kind", "sum8-zero", NULL);
	text_bench_metric(bench, "v", "key", "V", "type", "int", NULL);
	text_bench_metric(bench, "i", "key", "I", "type", "int", NULL);
	text_bench_metric(bench, "load", "key", "LOAD", "type", "bool", NULL);
	text_bench_metric(bench, "serial", "key", "SER#", "type", "text", NULL);
	text_bench_metric(bench, "pid", "key", "PID", "type", "hex", NULL);
	text_bench_metric(bench, "soc", "key", "SOC", NULL);
}

static void bmv(struct text_bench *bench)
{
	text_bench_start(bench, "text.block.end_key", "Checksum", "text.block.begin_key", (const void *)first_keys,
		"text.keys", "pairs", "text.split", "\t", "text.ignore", ":", "text.check.kind", "sum8-zero", NULL);
	text_bench_metric(bench, "v", "key", "V", "type", "int", NULL);
	text_bench_metric(bench, "deepest", "key", "H1", "type", "int", NULL);
}

/* A BlueSolar 75/15 and a record of the other protocol behind it, a SmartSolar 75/10 at night. */
static const char chargers[] =
	"\r\nPID\t0xA042\r\nFW\t123\r\nSER#\tHQ1411MYIKN\r\nV\t12530\r\nI\t620\r\nVPV\t33580\r\nPPV\t8\r\nCS\t3\r\n"
	"ERR\t0\r\nLOAD\tON\r\nIL\t0\r\nH19\t8272\r\nH20\t0\r\nH21\t11\r\nH22\t25\r\nH23\t119\r\nHSDS\t274\r\n"
	"Checksum\t\xB0:A501000000000000000000000ED04C6040000000000C200000000000B0000000900C80D120172\n"
	"\r\nPID\t0xA05F\r\nFW\t139\r\nSER#\tHQ18486U2B4\r\nV\t12810\r\nI\t-10\r\nVPV\t10\r\nPPV\t0\r\nCS\t0\r\n"
	"MPPT\t0\r\nERR\t0\r\nLOAD\tON\r\nIL\t0\r\nH19\t0\r\nH20\t0\r\nH21\t0\r\nH22\t0\r\nH23\t0\r\nHSDS\t0\r\n"
	"Checksum\t\xE4";

const struct text_sample text_samples[] = {
	{"gps", gps,
		"$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*47\r\n"
		"$GPRMC,123519,A,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W*6A\r\n"
		"$GPVTG,084.4,T,077.8,M,022.4,N,041.5,K*4A\r\n",
		"gga lat=48.1173 lon=11.516666666666667 sats=8\nrmc speed=22.4\n", true, 4000},
	{"csv", csv, "\r\n21.4;48;1013\r\n# a word\r\n21.5;49;1012\n",
		"row t=21.4 h=48 p=1013\nrow t=21.5 h=49 p=1012\n", false, 0},
	{"csv_crc", csv_crc, "\n1.5,2*F7DD\r\n", " a=1.5 b=2\n", true, 16},
	{"json", json, "\n{\"kind\":\"climate\",\"t\":21.4}\r\nboot\r\n{\"h\":{\"x\":1}}\r\n",
		"climate t=21.4\nrest x=1\n", false, 0},
	{"p1", p1,
		"/ISk5\\2MT382-1000\r\n\r\n1-3:0.2.8(50)\r\n0-0:1.0.0(170102192002W)\r\n"
		"0-0:96.1.1(4B384547303034303436333935353037)\r\n1-0:1.8.1(000004.426*kWh)\r\n1-0:1.8.2(000002.399*kWh)"
		"\r\n"
		"1-0:2.8.1(000002.444*kWh)\r\n1-0:2.8.2(000000.000*kWh)\r\n0-0:96.14.0(0002)\r\n1-0:1.7.0(00.244*kW)"
		"\r\n"
		"1-0:2.7.0(00.000*kW)\r\n0-0:96.7.21(00013)\r\n0-0:96.7.9(00000)\r\n1-0:99.97.0(0)(0-0:96.7.19)\r\n"
		"1-0:32.32.0(00000)\r\n1-0:52.32.0(00000)\r\n1-0:72.32.0(00000)\r\n1-0:32.36.0(00000)\r\n"
		"1-0:52.36.0(00000)\r\n1-0:72.36.0(00000)\r\n0-0:96.13.0()\r\n1-0:32.7.0(0230.0*V)\r\n"
		"1-0:52.7.0(0230.0*V)\r\n1-0:72.7.0(0229.0*V)\r\n1-0:31.7.0(0.48*A)\r\n1-0:51.7.0(0.44*A)\r\n"
		"1-0:71.7.0(0.86*A)\r\n1-0:21.7.0(00.070*kW)\r\n1-0:41.7.0(00.032*kW)\r\n1-0:61.7.0(00.142*kW)\r\n"
		"1-0:22.7.0(00.000*kW)\r\n1-0:42.7.0(00.000*kW)\r\n1-0:62.7.0(00.000*kW)\r\n0-1:24.1.0(003)\r\n"
		"0-1:96.1.0(3232323241424344313233343536373839)\r\n0-1:24.2.1(170102161005W)(00000.107*m3)\r\n"
		"0-2:24.1.0(003)\r\n0-2:96.1.0()\r\n!6EEE\r\n",
		" import=4.426 power=0.244 gas=0.107 meter=K8EG004046395507 note=?\n", true, 16},
	{"p1_v2", p1_v2,
		"/ISk5\\2MT382-1004\r\n\r\n0-0:96.1.1(00000000000000)\r\n1-0:1.8.1(00001.001*kWh)\r\n"
		"0-1:24.3.0(161107190000)(00)(60)(1)(0-1:24.2.1)(m3)\r\n(00001.001)\r\n0-1:24.4.0(1)\r\n!\r\n",
		" import=1.001 gas=1.001\n", false, 0},
	{"bcc", bcc, "/ABC5meter\r\n\x02\x31.8.0(000123.4*kWh)\r\n!\r\n\x03\x7E", " e=123.4\n", true, 4000},
	{"teleinfo", teleinfo,
		"\x02\nADCO 021528603314 :\r\nOPTARIF HC.. <\r\nISOUSC 15 <\r\nHCHC 000837362 #\r\nHCHP 002035822 )\r"
		"\nPTEC HP..  \r\nIINST 001 X\r\nIMAX 002 A\r\nPAPP 00200 #\r\nHHPHC A ,\r\nMOTDETAT 000000 B\r\x03",
		" id=021528603314 hc=837362 va=200 now=HP..\n", true, 16000},
	{"linky", linky,
		"\x02\nVTIC\t02\tJ\r\nDATE\tH190323161039\t\tG\r\nNGTF\t      BASE      \t<\r\nSINSTS\t00129\tR\r"
		"\nSMAXSN\tH190323120831\t01748\tB\r\nSMAXSN-1\tH190322073403\t02624\t[\r\x03",
		" va=129 most=1748 tariff=BASE\n", true, 16000},
	{"ve_direct", ve_direct, chargers,
		" v=12530 i=620 load=true serial=HQ1411MYIKN pid=41026\n"
		" v=12810 i=-10 load=true serial=HQ18486U2B4 pid=41055\n",
		true, 4000},
	{"bmv", bmv,
		"\r\nPID\t0x203\r\nV\t12065\r\nI\t-7625\r\nP\t-92\r\nCE\t-"
		"65473\r\nSOC\t839\r\nTTG\t942\r\nAlarm\tOFF\r\n"
		"Relay\tOFF\r\nAR\t0\r\nBMV\t700\r\nFW\t0308\r\nChecksum\tq"
		"\r\nH1\t-149322\r\nH2\t-82854\r\nH3\t0\r\nH4\t0\r\nH5\t0\r\nH6\t-5526294\r\nH7\t11733\r\nH8\t16161\r\n"
		"H9\t368003\r\nH10\t26\r\nH11\t0\r\nH12\t0\r\nH17\t6843\r\nH18\t8527\r\nChecksum\t\xBC",
		" v=12065\n deepest=-149322\n", true, 4000},
};

const size_t text_n_samples = sizeof(text_samples) / sizeof(text_samples[0]);
